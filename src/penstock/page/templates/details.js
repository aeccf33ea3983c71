// How one run went: titles, lines, notes, what was said, and attempts on one clock, as they are listed.
const piece = ([part, left, width]) => {
  const made = make("i", "", part);
  made.style.setProperty("left", `${left}%`);
  made.style.setProperty("width", `max(2px, ${width}%)`);
  return made;
};
const kinds = [
  (title) => [make("h3", title)],
  (line, ...places) => [make("div", line), ...places.map((place) => make("div", texts[place], "meta"))],
  (note) => [make("p", note, "meta call")],
  (role, ...places) => [group("div", "said", make("span", role, "meta"), ...places.map((place) => make("div", texts[place], "text")))],
  (...attempts) => [group("div", "waterfall", ...attempts.flatMap(([number, told, ...pieces]) =>
    [make("span", number), group("span", "bar", ...pieces.map(piece)), make("span", told, "meta")]))],
];
const tell = (run) => (data.details[run] ?? []).forEach(([kind, ...rest]) => $("panel").append(...kinds[kind](...rest)));
