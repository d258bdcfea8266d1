// Shows what `/sandbox/events` tells: the whole state first, then each change. The address chooses the view:
// `?channel=NAME` one channel, `?view=split` all of them side by side.
"use strict";

const FOLD_PX = 600; // where the web client folds a post
const AT_END_PX = 80; // a reader this near to the end of a channel stays there when it grows
const TYPING_MS = 5000;

const channels = new Map(); // id -> {id, name, label, type}
const posts = new Map(); // id -> {id, channel_id, root_id, create_at, html}
const panes = new Map(); // channel id -> its element, while shown
const unread = new Set(); // channel ids
const unfolded = new Set(); // post ids
const typists = new Map(); // channel id -> timer

const main = document.getElementById("panes");
const menu = document.getElementById("menu");

function element(tag, className = "", text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

function wanted() {
  const asked = new URLSearchParams(location.search);
  const all = [...channels.values()];
  if (asked.get("view") === "split") {
    const talking = new Set([...posts.values()].map((post) => post.channel_id));
    const busy = all.filter((channel) => talking.has(channel.id));
    return { split: true, shown: busy.length ? busy : all };
  }
  const named = all.find((channel) => channel.name === asked.get("channel"));
  const shown = named || all[0];
  return { split: false, shown: shown ? [shown] : [] };
}

function show() {
  const { split, shown } = wanted();
  document.body.classList.toggle("split", split);
  const view = document.getElementById("view");
  view.textContent = split ? "One channel" : "Side by side";
  view.href = split ? location.pathname : "?view=split";
  panes.clear();
  main.replaceChildren();
  for (const channel of shown) {
    const pane = element("section", "pane");
    pane.setAttribute("aria-label", channel.label);
    const title = element("header", "title");
    title.append(element("span", `sign type-${channel.type}`), element("h2", "", channel.label));
    const stream = element("div", "stream");
    stream.tabIndex = 0;
    const list = element("div", "posts");
    stream.append(element("p", "empty", "Nothing has been said here yet."), list);
    pane.append(title, stream, element("p", "typing"));
    main.append(pane);
    panes.set(channel.id, pane);
    unread.delete(channel.id);
  }
  for (const post of [...posts.values()].sort((a, b) => a.create_at - b.create_at)) place(post);
  for (const pane of panes.values()) toEnd(pane);
  showChannels();
}

function showChannels() {
  for (const section of document.querySelectorAll("#sidebar section")) {
    const list = section.querySelector("ul");
    list.replaceChildren();
    for (const channel of channels.values()) {
      if (!section.dataset.types.includes(channel.type)) continue;
      const link = element("a", unread.has(channel.id) ? "unread" : "");
      link.href = `?channel=${encodeURIComponent(channel.name)}`;
      if (panes.has(channel.id)) link.setAttribute("aria-current", "page");
      link.append(element("span", `sign type-${channel.type}`), element("span", "label", channel.label));
      if (unread.has(channel.id)) link.append(element("span", "dot", "unread"));
      const item = element("li");
      item.append(link);
      list.append(item);
    }
    section.hidden = !list.children.length;
  }
  document.body.classList.toggle("has-unread", unread.size > 0);
}

function toEnd(pane) {
  const stream = pane.querySelector(".stream");
  stream.scrollTop = stream.scrollHeight;
}

function built(post) {
  const holder = document.createElement("template");
  holder.innerHTML = post.html;
  const article = holder.content.firstElementChild;
  const time = article.querySelector("time");
  time.textContent = new Date(time.dateTime).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return article;
}

// Puts the post where it belongs, or into the place of its earlier version; answers its element.
function place(post) {
  const pane = panes.get(post.channel_id);
  if (!pane) return null;
  const article = built(post);
  const former = document.getElementById(article.id);
  if (former) {
    former.replaceWith(article);
  } else {
    const root = post.root_id && document.getElementById(`thread-${post.root_id}`);
    if (root) {
      root.querySelector(".replies").append(article);
    } else {
      const thread = element("div", "thread");
      thread.id = `thread-${post.id}`;
      if (post.root_id) thread.classList.add("orphan");
      thread.append(article, element("div", "replies"));
      pane.querySelector(".posts").append(thread);
    }
  }
  fold(article, post.id);
  return article;
}

function fold(article, id) {
  const text = article.querySelector(".text");
  if (text.scrollHeight <= FOLD_PX) return;
  const button = element("button", "more");
  button.type = "button";
  const set = () => {
    text.classList.toggle("folded", !unfolded.has(id));
    button.textContent = unfolded.has(id) ? "Show less" : "Show more";
    button.setAttribute("aria-expanded", String(unfolded.has(id)));
  };
  button.addEventListener("click", () => {
    if (!unfolded.delete(id)) unfolded.add(id);
    set();
  });
  text.after(button);
  set();
}

function told(post) {
  const before = posts.get(post.id);
  posts.set(post.id, post);
  const split = document.body.classList.contains("split");
  if (split && !panes.has(post.channel_id)) return show();
  const pane = panes.get(post.channel_id);
  if (!pane) {
    if (!before && !unread.has(post.channel_id)) {
      unread.add(post.channel_id);
      showChannels();
    }
    return;
  }
  const stream = pane.querySelector(".stream");
  const atEnd = stream.scrollHeight - stream.scrollTop - stream.clientHeight < AT_END_PX;
  const article = place(post);
  if (!before) article.classList.add("new");
  else if (before.edit_at !== post.edit_at) article.classList.add("changed");
  if (atEnd) toEnd(pane);
}

function gone(id) {
  posts.delete(id);
  for (const reply of [...posts.values()]) if (reply.root_id === id) posts.delete(reply.id);
  (document.getElementById(`thread-${id}`) || document.getElementById(`post-${id}`))?.remove();
}

function typing({ channel_id: id, username }) {
  const line = panes.get(id)?.querySelector(".typing");
  if (!line) return;
  clearTimeout(typists.get(id));
  line.textContent = `${username} is typing…`;
  typists.set(id, setTimeout(() => (line.textContent = ""), TYPING_MS));
}

function learnChannels(list) {
  channels.clear();
  for (const channel of list) channels.set(channel.id, channel);
}

function listen() {
  const source = new EventSource("/sandbox/events");
  const on = (name, act) => source.addEventListener(name, (event) => act(JSON.parse(event.data)));
  const connection = document.getElementById("connection");
  const connected = (state) => {
    connection.dataset.state = state;
    connection.textContent = state;
  };
  source.addEventListener("open", () => connected("live"));
  source.addEventListener("error", () => {
    connected("reconnecting");
    // A server that answers with an error ends the source for good; one that is away does not.
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 1000);
  });
  on("state", (state) => {
    learnChannels(state.channels);
    posts.clear();
    for (const post of state.posts) posts.set(post.id, post);
    show();
  });
  on("channels", (list) => {
    learnChannels(list);
    if (panes.size) showChannels();
    else show();
  });
  on("post", told);
  on("gone", ({ id }) => gone(id));
  on("typing", typing);
}

function openMenu(open) {
  document.body.classList.toggle("menu-open", open);
  menu.setAttribute("aria-expanded", String(open));
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='?'], a#view");
  if (link && !event.metaKey && !event.ctrlKey) {
    event.preventDefault();
    history.pushState(null, "", link.href);
    openMenu(false);
    show();
  } else if (event.target.closest("a.hashtag")) {
    event.preventDefault();
  } else if (!event.target.closest("#menu, #sidebar")) {
    openMenu(false);
  }
});
menu.addEventListener("click", () => openMenu(!document.body.classList.contains("menu-open")));
window.addEventListener("popstate", show);
listen();
