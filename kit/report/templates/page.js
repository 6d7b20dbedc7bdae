"use strict";
// Tables of class "sortable": a header is a button that sorts by its column; a cell's data-value counts before its text.
for (const table of document.querySelectorAll("table.sortable")) {
  const headers = [...table.tHead.rows[0].cells];
  headers.forEach((header, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => {
      const falling = header.getAttribute("aria-sort") === "ascending";
      headers.forEach((other) => other.removeAttribute("aria-sort"));
      header.setAttribute("aria-sort", falling ? "descending" : "ascending");
      sortRows(table.tBodies[0], column, falling);
    });
  });
}

function sortRows(body, column, falling) {
  const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
  const unknown = (text) => text === "" || text === "–";
  const rows = [...body.rows].sort((one, other) => {
    const [a, b] = [value(one), value(other)];
    if (unknown(a) || unknown(b)) return unknown(a) - unknown(b); // what is not known comes last, either way
    const order = isNaN(a) || isNaN(b) ? a.localeCompare(b, "en", { numeric: true }) : a - b;
    return falling ? -order : order;
  });
  body.append(...rows);
}

// <input type="search" data-rows-of="id-of-a-table">: rows without the words are hidden; <output> beside it counts the rest.
for (const input of document.querySelectorAll("input[data-rows-of]")) {
  const rows = [...document.getElementById(input.dataset.rowsOf).tBodies[0].rows];
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase();
    for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(words);
    const shown = rows.filter((row) => !row.hidden).length;
    input.closest(".controls").querySelector("output").textContent = `${shown} of ${rows.length}`;
  });
}
