(() => {
  const root = document.documentElement, button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const show = () => {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", `Switch to the ${isDark() ? "light" : "dark"} theme`);
  };
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("genzoo-theme", root.dataset.theme); } catch {} // a file opened from disk may keep nothing
    show();
  });
  system.addEventListener("change", show);
  show();

  const compare = (a, b, isText) => (isText ? a.localeCompare(b, undefined, { numeric: true, sensitivity: "base" }) : a - b);
  for (const box of document.querySelectorAll(".table")) {
    const body = box.querySelector("tbody"), rows = [...body.rows], heads = [...box.querySelectorAll("thead th")];
    heads.forEach((head, place) => head.querySelector("button").addEventListener("click", () => {
      const isText = head.classList.contains("text");
      const order = ["none", isText ? "ascending" : "descending", isText ? "descending" : "ascending"];
      const next = order[(order.indexOf(head.getAttribute("aria-sort")) + 1) % order.length];
      heads.forEach((other) => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", next);
      const value = (row) => row.cells[place].dataset.v, sign = next === "descending" ? -1 : 1;
      const sorted = next === "none" ? rows : [...rows].sort((a, b) => {
        const [x, y] = [value(a), value(b)];
        return x === "" || y === "" ? (x === "") - (y === "") : sign * compare(x, y, isText); // missing values stay last
      });
      body.append(...sorted);
    }));
    const input = box.querySelector(".filter input");
    input?.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const row of rows) row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
      const shown = rows.filter((row) => !row.hidden).length;
      box.querySelector(".count").textContent = words.length ? `${shown} of ${rows.length}` : "";
    });
  }

  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    closed.forEach((details) => { details.open = true; });
  });
  addEventListener("afterprint", () => closed.forEach((details) => { details.open = false; }));
})();
