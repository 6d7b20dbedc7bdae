// Galleries of mistakes. Without this script all pictures are there; with it, they are filtered, ordered, and some shown at first.
for (const controls of document.querySelectorAll("[data-gallery]")) {
  const AT_ONCE = 60;
  const list = document.getElementById(controls.dataset.gallery);
  const more = document.querySelector(`[data-more="${CSS.escape(list.id)}"]`);
  const output = controls.querySelector("output");
  const by = Object.fromEntries([...controls.querySelectorAll("[data-by]")].map((control) => [control.dataset.by, control]));
  const near = Number(list.dataset.near), confident = Number(list.dataset.confident);
  const kinds = {
    near: [`near miss: over ${Math.round(100 * near)} % for the true class`, (item) => item.q > near],
    confident: [`confident: ${Math.round(100 * confident)} % or more for another`, (item) => item.p >= confident],
  };
  const items = [...list.children].map((element) => ({
    element, id: element.dataset.id, true: element.dataset.true, predicted: element.dataset.predicted,
    p: Number(element.dataset.p), q: Number(element.dataset.q),
    names: [...element.querySelectorAll("b")].map((name) => name.textContent),
  }));
  const orders = { confident: (a, b) => b.p - a.p, near: (a, b) => a.p - a.q - (b.p - b.q) };
  const tests = {
    true: (item) => !by.true.value || item.true === by.true.value,
    predicted: (item) => !by.predicted.value || item.predicted === by.predicted.value,
    kind: (item) => !by.kind.value || kinds[by.kind.value][1](item),
    id: (item) => item.id.toLowerCase().includes(by.id.value.trim().toLowerCase()),
  };
  const matching = (but) => items.filter((item) => Object.keys(tests).every((name) => name === but || tests[name](item)));
  let limit = AT_ONCE;

  // A select lists what occurs among the items that all other controls leave, with how many each has.
  function fill(name, options) {
    const select = by[name], chosen = select.value, all = new Option("all", "");
    select.replaceChildren(all, ...options.map(([value, text, count]) => new Option(`${text} (${count})`, value)));
    select.value = options.some(([value]) => value === chosen) ? chosen : "";
  }
  function fillClasses(name, place) {
    const counts = new Map();
    for (const item of matching(name)) {
      const [value, text] = [item[name], item.names[place]];
      counts.set(value, [value, text, (counts.get(value)?.[2] ?? 0) + 1]);
    }
    fill(name, [...counts.values()].sort((a, b) => a[0] - b[0]));
  }
  function update() {
    fillClasses("true", 0);
    fillClasses("predicted", 1);
    const others = matching("kind");
    fill("kind", Object.entries(kinds).map(([value, [text, test]]) => [value, text, others.filter(test).length]));
    const found = matching().sort(orders[by.order.value]);
    for (const item of items) item.element.hidden = true;
    for (const item of found.slice(0, limit)) item.element.hidden = false;
    list.append(...found.map((item) => item.element));
    more.hidden = found.length <= limit;
    output.textContent = `${Math.min(limit, found.length)} of ${found.length} shown`;
  }
  for (const control of Object.values(by)) {
    control.addEventListener(control.tagName === "SELECT" ? "change" : "input", () => { limit = AT_ONCE; update(); });
  }
  controls.querySelector("[data-clear]").addEventListener("click", () => {
    for (const name of ["true", "predicted", "kind", "id"]) by[name].value = "";
    limit = AT_ONCE;
    update();
  });
  more.querySelector("button").addEventListener("click", () => { limit += AT_ONCE; update(); });
  // A row of the most confused pairs leads to its pictures.
  const section = list.id.slice(0, -"mistakes".length);
  for (const link of document.querySelectorAll(`a[href="#${CSS.escape(section)}gallery"][data-pair]`)) {
    link.addEventListener("click", () => {
      for (const name of ["kind", "id", "true", "predicted"]) by[name].value = "";
      update();
      [by.true.value, by.predicted.value] = link.dataset.pair.split(" ");
      limit = AT_ONCE;
      update();
    });
  }
  controls.hidden = false;
  update();
}
