// Shows the OpenAPI document of this server. All text goes in as text, never as markup.
const make = (tag, text, ...children) => {
  const e = document.createElement(tag);
  if (text) e.textContent = text;
  e.append(...children);
  return e;
};

const resolve = (doc, node) => node && node.$ref ? node.$ref.slice(2).split("/").reduce((at, part) => at[part], doc) : node;

const terms = (pairs) => {
  const list = make("dl");
  for (const [term, text] of pairs) list.append(make("dt", term), make("dd", text));
  return list;
};

const schemas = (doc, content) => Object.entries(content || {}).map(([type, media]) =>
  make("div", "", make("h3", type), make("pre", JSON.stringify(resolve(doc, media.schema), null, 2))));

const operation = (doc, path, method, op) => {
  const head = make("summary", "", make("b", method.toUpperCase()), " ", make("code", path), " ", make("span", op.summary));
  const body = make("div");
  body.className = "body";
  if (op.description) body.append(make("p", op.description));
  if (op["x-isobar-permissions"]) body.append(make("h3", "Permissions"), make("p", op["x-isobar-permissions"].join(" or ")));
  const parameters = (op.parameters || []).map((p) => resolve(doc, p));
  if (parameters.length) body.append(make("h3", "Parameters"), terms(parameters.map((p) => [p.name + " (" + p.in + ")", p.description || p.schema.type])));
  if (op.requestBody) body.append(make("h3", "Request body"), ...schemas(doc, resolve(doc, op.requestBody).content));
  body.append(make("h3", "Answers"));
  for (const [status, answer] of Object.entries(op.responses).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const a = resolve(doc, answer);
    body.append(terms([[status, a.description]]));
    if (status < "300") body.append(...schemas(doc, a.content));
  }
  const item = make("details", "", head, body);
  item.id = op.operationId;
  item.dataset.words = (method + " " + path + " " + op.summary + " " + op.operationId).toLowerCase();
  return item;
};

const show = (doc) => {
  document.getElementById("about").textContent = doc.info.description + " Version " + doc.info.version + ".";
  const main = document.getElementById("operations");
  const byTag = new Map(doc.tags.map((t) => [t.name, []]));
  for (const [path, methods] of Object.entries(doc.paths)) {
    for (const [method, op] of Object.entries(methods)) byTag.get(op.tags[0]).push(operation(doc, path, method, op));
  }
  for (const [tag, items] of byTag) {
    const group = make("details", "", make("summary", "", make("h2", tag), " ", make("span", items.length === 1 ? "1 operation" : items.length + " operations")), ...items);
    group.className = "group";
    main.append(group);
  }
  const filter = document.getElementById("filter");
  const apply = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let n = 0;
    for (const section of main.children) {
      let seen = 0;
      for (const item of section.querySelectorAll(":scope > details")) {
        item.hidden = !words.every((w) => item.dataset.words.includes(w));
        if (!item.hidden) seen++;
      }
      section.hidden = seen === 0;
      section.open = words.length > 0 && seen > 0;
      n += seen;
    }
    document.getElementById("count").textContent = n + " operations";
  };
  filter.addEventListener("input", apply);
  document.getElementById("search").addEventListener("submit", (e) => e.preventDefault());
  apply();
  const target = document.getElementById(location.hash.slice(1));
  if (target && target.tagName === "DETAILS") { target.parentElement.open = true; target.open = true; target.scrollIntoView(); }
};

try {
  const answer = await fetch("openapi.json");
  if (!answer.ok) throw new Error("status " + answer.status);
  show(await answer.json());
} catch (e) {
  document.getElementById("about").textContent = "The reference could not be loaded: " + e.message;
}
