// Shows what scripts can see in this browser, on the page "Behind the scenes".
(() => {
  "use strict";
  const list = document.getElementById("in-browser");
  const empty = document.getElementById("in-browser-empty");
  const show = () => {
    const cookies = document.cookie ? document.cookie.split("; ").map((pair) => pair.split("=")[0]) : [];
    const names = [...cookies, ...Object.keys(localStorage).map((name) => `${name} (storage)`)].sort();
    list.replaceChildren(...names.map((name) => {
      const item = document.createElement("li");
      item.append(Object.assign(document.createElement("code"), { textContent: name }));
      return item;
    }));
    empty.textContent = "Nothing.";
    empty.hidden = names.length > 0;
  };
  document.addEventListener("consent:change", () => setTimeout(show, 500));
  show();
})();
