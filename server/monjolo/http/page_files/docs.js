// Renders /api/v1/openapi.json. Text only ever enters the page as text nodes.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];

function element(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

function resolve(openapi, schema) {
  if (!schema || !schema.$ref) return schema || {};
  return schema.$ref.slice(2).split("/").reduce((at, key) => at[key.replace(/~1/g, "/")], openapi) || {};
}

/** An example-like outline of a schema, cut off where it repeats itself. */
function outline(openapi, schema, seen = []) {
  if (schema && schema.$ref && seen.includes(schema.$ref)) return "…";
  const trail = schema && schema.$ref ? [...seen, schema.$ref] : seen;
  const at = resolve(openapi, schema);
  const options = at.anyOf || at.oneOf;
  if (options) {
    const real = options.filter((option) => option.type !== "null");
    const drawn = real.map((option) => outline(openapi, option, trail));
    return drawn.length === 1 ? drawn[0] : drawn.map((one) => (typeof one === "string" ? one : JSON.stringify(one))).join(" | ");
  }
  if (at.enum) return at.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (at.const !== undefined) return at.const;
  if (at.properties) {
    const out = {};
    for (const [key, value] of Object.entries(at.properties)) {
      const needed = (at.required || []).includes(key);
      out[needed ? key : key + "?"] = outline(openapi, value, trail);
    }
    return out;
  }
  if (at.type === "array") return [outline(openapi, at.items || {}, trail)];
  return [at.type || "any", at.format].filter(Boolean).join(", ");
}

function shape(openapi, content) {
  const [kind, media] = Object.entries(content || {})[0] || [];
  if (!kind) return null;
  if (!media.schema || !Object.keys(media.schema).length) return element("p", {}, element("code", {}, kind));
  return element("pre", {}, JSON.stringify(outline(openapi, media.schema), null, 2));
}

function parameters(openapi, list) {
  if (!list.length) return null;
  const table = element("table", {});
  for (const raw of list) {
    const one = resolve(openapi, raw);
    const type = String(outline(openapi, one.schema || {}));
    table.append(
      element("tr", {},
        element("td", {}, element("code", {}, one.name), one.required ? "" : "?"),
        element("td", {}, one.in),
        element("td", {}, type),
        element("td", {}, one.description || "")));
  }
  return table;
}

function operation(openapi, path, method, about) {
  const body = element("div", {});
  if (about.description) body.append(element("p", {}, about.description));
  if (!about.security || !about.security.length) body.append(element("p", {}, "Open to all."));
  const table = parameters(openapi, about.parameters || []);
  if (table) body.append(element("h3", {}, "Parameters"), table);
  const sent = about.requestBody && shape(openapi, resolve(openapi, about.requestBody).content);
  if (sent) body.append(element("h3", {}, "Body"), sent);
  for (const [status, answer] of Object.entries(about.responses || {})) {
    if (status === "4XX") continue;
    body.append(element("h3", {}, `Answer ${status}`));
    body.append(shape(openapi, resolve(openapi, answer).content) || element("p", {}, "No content."));
  }
  const title = element("summary", {},
    element("span", { class: "method" }, method.toUpperCase()),
    element("code", {}, path),
    element("span", { class: "about" }, about.summary || ""));
  const block = element("details", { "data-text": `${method} ${path} ${about.summary || ""}`.toLowerCase() }, title);
  block.addEventListener("toggle", () => { if (block.open && !body.isConnected) block.append(body); });
  return block;
}

function render(openapi) {
  document.getElementById("about").textContent = `Version ${openapi.info.version}. ${openapi.info.description}`;
  const groups = new Map();
  for (const [path, methods] of Object.entries(openapi.paths)) {
    for (const method of METHODS.filter((name) => methods[name])) {
      const group = (methods[method].tags || ["other"])[0];
      if (!groups.has(group)) groups.set(group, []);
      groups.get(group).push(operation(openapi, path, method, methods[method]));
    }
  }
  const main = document.getElementById("operations");
  const contents = document.getElementById("contents");
  main.replaceChildren();
  for (const [group, blocks] of [...groups].sort()) {
    main.append(element("section", { id: `group-${group}` }, element("h2", {}, group), ...blocks));
    contents.append(element("a", { href: `#group-${group}` }, group));
  }
}

function filter(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  for (const block of document.querySelectorAll("details")) {
    block.hidden = !words.every((word) => block.dataset.text.includes(word));
  }
  for (const section of document.querySelectorAll("section")) {
    section.hidden = !section.querySelector("details:not([hidden])");
  }
}

document.getElementById("find").addEventListener("input", (event) => filter(event.target.value));
fetch("/api/v1/openapi.json")
  .then((answer) => answer.json())
  .then(render)
  .catch(() => { document.getElementById("operations").textContent = "The document could not be read."; });
