// The form behind the one-time link: /#setup=KEY. The key never leaves the browser but in the request itself.
"use strict";

const key = new URLSearchParams(location.hash.slice(1)).get("setup");
const form = document.getElementById("setup");
const outcome = document.getElementById("outcome");

async function setUp(event) {
  event.preventDefault();
  const fields = Object.fromEntries(new FormData(form));
  const timezone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  const body = JSON.stringify({ key, locale: navigator.language || "en", timezone, ...fields });
  const answer = await fetch("/api/v1/setup", { method: "POST", headers: { "content-type": "application/json" }, body });
  if (answer.ok) {
    history.replaceState(null, "", "/");
    form.querySelectorAll("label, button").forEach((node) => node.remove());
    outcome.textContent = "The account is made. Sign in with it: POST /api/v1/auth/token.";
  } else {
    outcome.textContent = (await answer.json()).detail;
  }
}

if (key) {
  form.hidden = false;
  form.addEventListener("submit", (event) => setUp(event).catch(() => { outcome.textContent = "The platform did not answer."; }));
}
