// Shows the trails of one level, as the API answers.
(() => {
  "use strict";
  const form = document.getElementById("levels");
  const number = document.getElementById("number");
  const show = async () => {
    const answer = await fetch(`/api/trails${form.level.value && `?level=${form.level.value}`}`);
    const found = new Set((await answer.json()).map((trail) => trail.slug));
    for (const item of document.querySelectorAll("#trails > li")) item.hidden = !found.has(item.dataset.slug);
    number.textContent = `${found.size} trails`;
  };
  form.addEventListener("change", show);
  form.hidden = false;
})();
