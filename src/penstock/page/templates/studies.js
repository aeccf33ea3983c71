// The studies that are served, asked for anew every two seconds while the page is looked at.
const many = (count) => Math.round(count).toLocaleString("en");
function list(studies) {
  $("studies").tBodies[0].replaceChildren(...studies.map((each) => {
    const row = make("tr");
    const name = make("td");
    const link = make("a", each.title);
    link.href = `studies/${encodeURIComponent(each.name)}/`;
    name.append(link, make("small", each.id));
    const ended = each.succeeded + each.failed + each.skipped;
    row.append(name, make("td", each.state), make("td", `${many(ended)} of ${many(each.planned)}`, "n"),
      make("td", each.failed ? many(each.failed) : "·", `n${each.failed ? " warns" : ""}`), make("td", each.cost || "–", "n wide"),
      make("td", each.saved_at ? `${each.saved_at.replace("T", " ")} UTC` : "–", "n wide"));
    return row;
  }));
}
list(data.studies);
setInterval(async () => {
  if (document.hidden) return;
  try {
    list(await (await fetch("list")).json());
    $("notice").hidden = true;
  } catch {
    $("notice").textContent = "The server of this page does not answer; this is what it said last.";
    $("notice").hidden = false;
  }
}, 2000);
document.documentElement.dataset.ready = "yes";
