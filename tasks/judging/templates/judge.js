"use strict";
(() => {
  const pool = JSON.parse(document.getElementById("pool").textContent);
  const items = pool.items; // each [item, query, passage, number within its query, passages of its query, number of the query]
  const GRADES = [
    ["Not relevant", "Says nothing that helps with the query."],
    ["Related", "Is on the topic, but does not answer."],
    ["Partly", "Answers in part, or the answer has to be worked out."],
    ["Answers", "Answers the query in full."],
  ];
  const OTHERS = [
    ["X", "Cannot tell: you lack the knowledge to judge. It counts as seen, without a grade."],
    ["-", "Must not be found: harmful, internal, or outdated, whatever else it says."],
  ];
  const LONG = 3000, UNSURE = null, HARM = -1, HISTORY = 500, PREFIX = `genzoo-judging:${pool.id}:`;
  const byId = (id) => document.getElementById(id);
  let judge = "", marks = {}, history = [], at = 0, screen = "start", isWhole = false, isKept = true, isExported = true;

  // What is kept: one record a judge, and nothing else, under a key that holds the pool's digest.
  function kept(name) {
    try {
      return JSON.parse(localStorage.getItem(PREFIX + name)) || {};
    } catch {
      return {};
    }
  }
  // Another tab of the same judge may have gone on meanwhile: what it kept is read before anything is changed.
  function keep(change = () => {}) {
    if (isKept) takeOver(kept(judge));
    change();
    try {
      localStorage.setItem(PREFIX + judge, JSON.stringify({ marks, history, at, highlight: isHighlighted() }));
    } catch {
      isKept = false;
      byId("unkept").hidden = false;
    }
  }
  function judges() {
    try {
      return Object.keys(localStorage).filter((key) => key.startsWith(PREFIX)).map((key) => key.slice(PREFIX.length)).sort();
    } catch {
      isKept = false;
      return [];
    }
  }
  function takeOver(record) {
    marks = record.marks && typeof record.marks === "object" ? record.marks : {};
    history = Array.isArray(record.history) ? record.history : [];
  }

  const isJudged = (place) => Object.hasOwn(marks, items[place][0]);
  const countJudged = () => items.reduce((sum, _, place) => sum + isJudged(place), 0);
  const isHighlighted = () => byId("highlight").getAttribute("aria-pressed") === "true";

  function show(next) {
    screen = next;
    byId("start").hidden = next !== "start";
    byId("end").hidden = next !== "end";
    for (const id of ["top", "middle", "bottom"]) byId(id).hidden = next !== "judge";
    window.scrollTo(0, 0);
  }

  // Texts of the pool only ever become text nodes: markup in them is shown, never read.
  function put(element, text) {
    element.replaceChildren();
    const words = isHighlighted() ? queryWords() : null;
    let end = 0, count = 0;
    if (words) {
      for (const found of text.matchAll(/[\p{L}\p{N}]+/gu)) {
        if (!words.has(stem(found[0]))) continue;
        element.append(text.slice(end, found.index));
        const mark = document.createElement("mark");
        mark.textContent = found[0];
        element.append(mark);
        count += 1;
        end = found.index + found[0].length;
      }
    }
    element.append(text.slice(end));
    return count;
  }
  const isCode = (word) => /\p{N}/u.test(word);
  const stem = (word) => (isCode(word) ? word.toLowerCase() : word.toLowerCase().replace(/s$/, "").slice(0, 6));
  function queryWords() {
    const found = pool.queries[items[at][1]].match(/[\p{L}\p{N}]{2,}/gu) || [];
    return new Set(found.filter((word) => word.length > 2 || isCode(word)).map(stem));
  }

  function render() {
    const [item, query, passage, number, count, place] = items[at];
    const [title, text] = pool.passages[passage], done = countJudged();
    byId("where").textContent = `Query ${place} of ${pool.n_queries}, passage ${number} of ${count}`;
    byId("judged").textContent = `${done} of ${items.length} judged`;
    byId("progress").max = items.length;
    byId("progress").value = done;
    byId("query").textContent = pool.queries[query];
    byId("source").textContent = passage;
    let common = put(byId("title"), title);
    byId("title").hidden = !title;
    const letters = isWhole || text.length <= LONG ? text : [...text.slice(0, LONG)].slice(0, -1).join("");
    common += put(byId("text"), letters.length < text.length ? letters + " …" : text);
    byId("common").hidden = !isHighlighted() || common > 0;
    byId("more").hidden = letters.length >= text.length;
    byId("more").textContent = `Show all ${text.length.toLocaleString("en")} characters (M)`;
    const mark = Object.hasOwn(marks, item) ? marks[item][0] : undefined;
    [...byId("grades").children].forEach((button, grade) => button.setAttribute("aria-pressed", String(mark === grade)));
    byId("unsure").setAttribute("aria-pressed", String(mark === UNSURE));
    byId("harm").setAttribute("aria-pressed", String(mark === HARM));
    byId("back").disabled = at === 0;
    byId("forward").disabled = at === items.length - 1;
    byId("undo").disabled = !history.length;
  }

  function go(place) {
    const before = items[at][1];
    at = Math.max(0, Math.min(items.length - 1, place));
    isWhole = false;
    keep();
    show("judge");
    render();
    if (items[at][1] !== before) say(`New query: ${pool.queries[items[at][1]]}`);
  }
  const plural = (count, one, many) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
  const say = (text) => { byId("said").textContent = text; };

  function give(grade) {
    const item = items[at][0];
    keep(() => {
      history = [...history, [item, Object.hasOwn(marks, item) ? marks[item] : null]].slice(-HISTORY);
      marks[item] = [grade, new Date().toISOString()];
    });
    isExported = false;
    say(grade === UNSURE ? "Cannot tell" : grade === HARM ? "Must not be found" : `Grade ${grade}: ${GRADES[grade][0]}`);
    const next = nextOpen(at + 1);
    if (next === null) finish();
    else go(next);
    if (screen === "judge") byId("query").focus({ preventScroll: true }); // so that the space bar scrolls, and grades nothing
  }
  function nextOpen(from) {
    for (let step = 0; step < items.length; step += 1) {
      const place = (from + step) % items.length;
      if (!isJudged(place)) return place;
    }
    return null;
  }
  function undo() {
    let item = null;
    keep(() => {
      if (!history.length) return;
      const [last, before] = history.pop();
      if (before) marks[last] = before;
      else delete marks[last];
      item = last;
    });
    if (item === null) return;
    isExported = false;
    const place = items.findIndex(([name]) => name === item);
    say("Undone");
    go(place < 0 ? at : place);
  }

  function finish() {
    keep();
    const done = countJudged(), unsure = items.filter(([item]) => Object.hasOwn(marks, item) && marks[item][0] === UNSURE).length;
    show("end");
    byId("done").textContent = done === items.length ? "All passages are judged" : `${done} of ${items.length} passages are judged`;
    const left = items.length - done, said = [`${wholeQueries()} of ${plural(pool.n_queries, "query is", "queries are")} complete.`];
    if (left) said.push(`${plural(left, "passage is", "passages are")} left to judge.`);
    if (unsure) said.push(`You could not tell for ${plural(unsure, "passage", "passages")}.`);
    said.push(done ? "Export now: only the exported file counts." : "There is nothing to export yet.");
    byId("summary").textContent = said.join(" ");
    byId("continue").hidden = done === items.length;
    byId("loaded").textContent = "";
    byId("done").focus({ preventScroll: true });
  }
  function wholeQueries() {
    const open = new Set(items.filter((_, place) => !isJudged(place)).map(([, query]) => query));
    return pool.n_queries - open.size;
  }

  function rows() {
    return items.filter(([item]) => Object.hasOwn(marks, item)).map(([item, query, passage]) => {
      const [grade, time] = marks[item];
      return { "query-id": query, "corpus-id": passage, score: grade, judge, time, item };
    });
  }
  function download(name, text, type) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    isExported = true;
    say(`Exported ${name}`);
  }
  const fileName = (ending) => `${judge.normalize("NFKC").replace(/[^\p{L}\p{N}-]+/gu, "-")}.${ending}`;
  const exportRows = () =>
    download(fileName("jsonl"), rows().map((row) => JSON.stringify(row) + "\n").join(""), "application/jsonl");
  const exportQrels = () =>
    download(fileName("qrels"), rows().filter((row) => row.score !== null)
      .map((row) => `${row["query-id"]} 0 ${row["corpus-id"]} ${row.score}\n`).join(""), "text/plain");

  async function load(files) {
    const known = new Set(items.map(([item]) => item)), found = [];
    let taken = 0, other = 0, unread = 0;
    for (const file of files) {
      for (const line of (await file.text()).split("\n").filter((line) => line.trim())) {
        let row;
        try {
          row = JSON.parse(line);
        } catch {
          unread += 1;
          continue;
        }
        const grade = row.score, time = String(row.time || "");
        if (row.judge !== judge || !known.has(row.item) || ![UNSURE, HARM, 0, 1, 2, 3].includes(grade)) {
          other += 1;
          continue;
        }
        found.push([row.item, [grade, time]]);
      }
    }
    keep(() => {
      for (const [item, mark] of found) {
        if (Object.hasOwn(marks, item) && marks[item][1] > mark[1]) continue;
        marks[item] = mark;
        taken += 1;
      }
    });
    finish();
    const left = other + unread ? `; ${other + unread} lines are of another judge or another pool` : "";
    byId("loaded").textContent = `Took over ${taken} judgements as ${judge}'s${left}.`;
  }

  function enter(name) {
    judge = name.trim();
    if (!judge) return;
    const record = kept(judge);
    takeOver(record);
    byId("highlight").setAttribute("aria-pressed", String(record.highlight === true));
    const open = nextOpen(0);
    if (open === null) finish();
    else go(Number.isInteger(record.at) && record.at < items.length && !isJudged(record.at) ? record.at : open);
  }
  function welcome() {
    const known = judges();
    byId("known").hidden = !known.length;
    byId("known").replaceChildren(...known.map((name) => {
      const button = document.createElement("button");
      button.type = "button";
      const own = kept(name).marks || {}, done = items.filter(([item]) => item in own).length;
      button.textContent = `Go on as ${name}: ${done} of ${items.length} judged`;
      button.addEventListener("click", () => enter(name));
      return button;
    }));
    byId("unkept").hidden = isKept;
    show("start");
    byId("name").value = "";
    // whoever comes back goes on with Enter; another judge types a name
    byId("name").placeholder = known.length === 1 ? known[0] : "";
    byId("name").required = known.length !== 1;
    byId("name").focus({ preventScroll: true });
  }

  function toggleHighlight() {
    byId("highlight").setAttribute("aria-pressed", String(!isHighlighted()));
    render();
    keep();
  }
  function showAll() {
    isWhole = true;
    render();
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || byId("keys").open || screen === "start") return;
    const key = event.key.toLowerCase();
    const always = { e: exportRows, t: () => byId("qrels").click(), n: () => go(nextOpen(at) ?? at), "?": () => byId("keys").showModal() };
    const judging = {
      u: undo, backspace: undo, x: () => give(UNSURE), "-": () => give(HARM), h: toggleHighlight, m: showAll, escape: finish,
      arrowleft: () => go(at - 1), arrowright: () => go(at + 1),
    };
    const action = { ...always, ...(screen === "judge" ? judging : {}) }[key];
    const isGrade = screen === "judge" && /^[0-3]$/.test(key);
    if (!action && !isGrade) return;
    event.preventDefault();
    if (event.repeat && !key.startsWith("arrow")) return; // a key that is held gives one grade
    if (isGrade) give(Number(key));
    else action();
  }

  function explain(name, meaning) {
    const term = document.createElement("dt"), key = document.createElement("kbd"), text = document.createElement("dd");
    key.textContent = name;
    term.append(key);
    text.textContent = meaning;
    byId("meaning").append(term, text);
  }
  GRADES.forEach(([name, meaning], grade) => {
    const button = document.createElement("button");
    button.type = "button";
    const number = document.createElement("b"), label = document.createElement("span");
    number.textContent = grade;
    label.textContent = name;
    button.append(number, label);
    button.title = meaning;
    button.addEventListener("click", () => give(grade));
    byId("grades").append(button);
    explain(grade, `${name}: ${meaning[0].toLowerCase()}${meaning.slice(1)}`);
  });
  OTHERS.forEach(([key, meaning]) => explain(key, meaning));
  const clicks = {
    back: () => go(at - 1), forward: () => go(at + 1), undo, unsure: () => give(UNSURE), harm: () => give(HARM), highlight: toggleHighlight, more: showAll,
    overview: finish, save: exportRows, qrels: exportQrels, help: () => byId("keys").showModal(), switch: welcome,
    continue: () => go(nextOpen(0) ?? 0),
  };
  for (const [id, action] of Object.entries(clicks)) byId(id).addEventListener("click", action);
  byId("who").addEventListener("submit", (event) => {
    event.preventDefault();
    enter(byId("name").value.trim() || byId("name").placeholder);
  });
  byId("load").addEventListener("change", (event) => load(event.target.files));
  document.addEventListener("keydown", onKey);
  window.addEventListener("beforeunload", (event) => {
    if (!isKept && !isExported) event.preventDefault();
  });
  window.addEventListener("storage", (event) => {
    if (event.key !== PREFIX + judge || screen !== "judge") return;
    takeOver(kept(judge));
    render();
  });

  // TREC divides the columns by white space, so an id with white space in it has no place there.
  if (items.some(([, query, passage]) => /\s/.test(query + passage))) {
    byId("qrels").disabled = true;
    byId("qrels").title = "TREC qrels cannot hold the ids of this pool: some contain white space.";
  }
  byId("size").textContent = `${items.length} passages for ${pool.n_queries} queries, one at a time, judged by keyboard.`;
  welcome();
})();
