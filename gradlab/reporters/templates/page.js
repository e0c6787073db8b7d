(function () {
  "use strict";
  var all = function (selector, root) {
    return Array.prototype.slice.call((root || document).querySelectorAll(selector));
  };

  // Copy the text of a snippet.
  var status = document.getElementById("said");
  all("button.copy").forEach(function (button) {
    button.hidden = false;
    button.addEventListener("click", function () {
      var code = button.parentNode.querySelector("code");
      var done = function () {
        button.textContent = "Copied";
        status.textContent = "Copied to the clipboard";
        setTimeout(function () { button.textContent = "Copy"; status.textContent = ""; }, 1600);
      };
      var byHand = function () {
        var range = document.createRange();
        range.selectNodeContents(code);
        var selection = getSelection();
        selection.removeAllRanges();
        selection.addRange(range);
        if (document.execCommand("copy")) { selection.removeAllRanges(); done(); }
        else { button.textContent = "Press Ctrl+C"; }
      };
      if (navigator.clipboard) navigator.clipboard.writeText(code.textContent).then(done, byHand);
      else byHand();
    });
  });

  // Sort, filter and search the table of rules.
  var table = document.getElementById("rules");
  if (!table) return;
  var body = table.tBodies[0], rows = all("tr", body), count = document.getElementById("count");
  var search = document.getElementById("search"), chosen = "";
  all(".tools").forEach(function (tools) { tools.hidden = false; });

  function show() {
    var words = search.value.toLowerCase().split(/\s+/).filter(Boolean), shown = 0;
    rows.forEach(function (row) {
      var text = row.dataset.text || (row.dataset.text = row.textContent.toLowerCase());
      var fits = (!chosen || row.dataset.status === chosen) &&
        words.every(function (word) { return text.indexOf(word) >= 0; });
      row.hidden = !fits;
      shown += fits;
    });
    count.textContent = shown === rows.length ? "" : shown + " of " + rows.length + " rules shown";
  }

  all("button[data-status]").forEach(function (button) {
    button.addEventListener("click", function () {
      chosen = button.dataset.status;
      all("button[data-status]").forEach(function (other) {
        other.setAttribute("aria-pressed", String(other === button));
      });
      show();
    });
  });
  search.addEventListener("input", show);

  all("th[data-key]", table).forEach(function (head, column) {
    var button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.textContent = "";
    head.appendChild(button);
    button.addEventListener("click", function () {
      var first = head.dataset.key === "number" ? "descending" : "ascending";
      var other = first === "ascending" ? "descending" : "ascending";
      var order = head.getAttribute("aria-sort") === first ? other : first;
      all("th", table).forEach(function (one) { one.removeAttribute("aria-sort"); });
      head.setAttribute("aria-sort", order);
      var sign = order === "ascending" ? 1 : -1;
      var value = function (row) {
        var cell = row.cells[column], given = cell.dataset.value;
        if (head.dataset.key === "text") return given || cell.textContent;
        return given === undefined || given === "" ? NaN : Number(given);
      };
      rows.map(function (row, k) { return { row: row, key: value(row), k: k }; }).sort(function (a, b) {
        if (head.dataset.key === "text") return sign * a.key.localeCompare(b.key) || a.k - b.k;
        if (isNaN(a.key) || isNaN(b.key)) return isNaN(a.key) - isNaN(b.key) || a.k - b.k;
        return sign * (a.key - b.key) || a.k - b.k;
      }).forEach(function (one) { body.appendChild(one.row); });
    });
  });
})();
