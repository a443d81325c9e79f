// What the pages cannot do without a script: look like Airflow around them, leave its frame, and follow an import.
"use strict";

(function () {
  const root = document.documentElement;
  const framed = window.parent !== window;

  // Airflow keeps the theme that a user chose here; "system" and nothing mean the system's, which the style sheet follows.
  function wearTheme() {
    const chosen = localStorage.getItem("theme");
    if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
    else delete root.dataset.theme;
  }
  wearTheme();
  window.addEventListener("storage", wearTheme);

  // Airflow shows the pages in a frame that may neither lead the window elsewhere nor open another one. Its own document
  // may, and has the same origin: the link is followed there.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[target]");
    if (!framed || !link || event.defaultPrevented) return;
    event.preventDefault();
    const outer = parent.document.createElement("a");
    outer.href = link.href;
    outer.rel = link.rel;
    if (link.target === "_blank" || event.ctrlKey || event.metaKey) outer.target = "_blank";
    parent.document.body.append(outer);
    outer.click();
    outer.remove();
  });

  // A form is sent once, and says that it is on its way.
  document.addEventListener("submit", (event) => {
    for (const button of event.target.querySelectorAll("button")) {
      button.disabled = true;
      button.setAttribute("aria-busy", "true");
    }
  });
  // Pages that the browser kept come back with their buttons alive.
  window.addEventListener("pageshow", () => {
    for (const button of document.querySelectorAll("button[aria-busy]")) {
      button.disabled = false;
      button.removeAttribute("aria-busy");
    }
  });

  // What is under way is asked for again until it has ended.
  const EVERY_MS = 2000;
  async function follow() {
    try {
      if (!document.hidden) {
        const answer = await fetch(location.href);
        if (answer.redirected) {
          location.replace(answer.url);
          return;
        }
        if (answer.ok && !show(new DOMParser().parseFromString(await answer.text(), "text/html"))) {
          location.reload();
          return;
        }
      }
    } catch {
      // Away for a moment: the next try tells.
    }
    setTimeout(follow, EVERY_MS);
  }
  // Puts the fresh parts in place; false when there is nothing more to follow.
  function show(fresh) {
    const parts = [...document.querySelectorAll("[data-live]")];
    const news = parts.map((part) => fresh.getElementById(part.id));
    if (news.some((part) => !part || !("live" in part.dataset))) return false;
    parts.forEach((part, index) => {
      if (part.innerHTML !== news[index].innerHTML) part.replaceWith(news[index]);
    });
    return true;
  }
  document.addEventListener("DOMContentLoaded", () => {
    if (document.querySelector("[data-live]")) setTimeout(follow, EVERY_MS);
  });
})();
