// Drives the door with a published client, unmodified: CLIENT names it. BASE_URL
// is the tenant's; /ui/code?to= there is the mailbox, and /ui/wait lets time pass.
const assert = require("node:assert/strict");
const base = process.env.BASE_URL, name = process.env.CLIENT;
const { FrontendApi, Configuration } = require(name);
const fetches = name === "@ory/client-fetch";
const api = new FrontendApi(new Configuration({
  basePath: base + process.env.PREFIX,
  ...(fetches ? { headers: { Accept: "application/json" } } : { baseOptions: { maxRedirects: 0 } }),
}));

// call runs an operation and gives its status and what the client made of it.
async function call(operation, params) {
  try {
    if (!fetches) {
      const r = await api[operation](params);
      return { status: r.status, data: r.data, cookies: r.headers["set-cookie"] ?? [] };
    }
    const r = await api[operation + "Raw"](params);
    return { status: r.raw.status, data: await r.value(), cookies: r.raw.headers.getSetCookie() };
  } catch (e) {
    if (!e.response) throw e;
    const data = fetches ? await e.response.json().catch(() => undefined) : e.response.data;
    return { status: e.response.status, data, cookies: fetches ? e.response.headers.getSetCookie() : e.response.headers["set-cookie"] ?? [] };
  }
}

// jar keeps cookies as a browser does.
function jar() {
  const kept = new Map();
  return {
    keep: (r) => {
      for (const c of r.cookies) {
        const [, n, v] = /^([^=]+)=([^;]*)/.exec(c);
        /Max-Age=0|Max-Age=-/.test(c) || v === "" ? kept.delete(n) : kept.set(n, v);
      }
      return r;
    },
    header: () => [...kept].map(([n, v]) => `${n}=${v}`).join("; "),
  };
}

const mail = async (to) => {
  const code = await (await fetch(`${base}/ui/code?to=${encodeURIComponent(to)}`)).text();
  assert.match(code, /^[0-9]{6}$/);
  return code;
};
const wait = () => fetch(`${base}/ui/wait`);
const node = (flow, name) => flow.ui.nodes.find((n) => n.attributes.name === name || n.attributes.id === name);
const told = (flow) => {
  assert(flow.ui, JSON.stringify(flow));
  return (flow.ui.messages ?? []).map((m) => m.id);
};
const atNode = (flow, name) => node(flow, name).messages.map((m) => m.id);

async function app() {
  const email = `app-${Math.random()}@example.com`, password = "correct horse";

  // A registration, refused first.
  let flow = (await call("createNativeRegistrationFlow", {})).data;
  assert.equal(flow.type, "api");
  if (fetches) assert(flow.expires_at instanceof Date);
  let r = await call("updateRegistrationFlow", { flow: flow.id, updateRegistrationFlowBody: { method: "password", password: "short", traits: { email } } });
  assert.equal(r.status, 400);
  assert.deepEqual(atNode(r.data, "password"), [4000032]);
  flow = (await call("getRegistrationFlow", { id: flow.id })).data;
  assert.deepEqual(atNode(flow, "password"), [4000032]);
  r = await call("updateRegistrationFlow", { flow: flow.id, updateRegistrationFlowBody: { method: "password", password, traits: { email } } });
  assert.equal(r.status, 200);
  assert.equal(r.data.identity.traits.email, email);
  let token = r.data.session_token;
  assert.equal(r.data.continue_with.find((c) => c.action === "set_ory_session_token").ory_session_token, token);

  // The verification that goes on from it, read by the seed's operation.
  const { id } = r.data.continue_with.find((c) => c.action === "show_verification_ui").flow;
  let v = await call("getVerificationFlow", { id });
  assert.equal(v.status, 200);
  assert.equal(v.data.state, "sent_email");
  assert.deepEqual(told(v.data), [1080003]);
  v = await call("updateVerificationFlow", { flow: id, updateVerificationFlowBody: { method: "code", code: "000000" } });
  assert.equal(v.status, 200);
  assert.deepEqual(told(v.data), [4070006]);
  await wait();
  v = await call("updateVerificationFlow", { flow: id, updateVerificationFlowBody: { method: "code", email } });
  assert.deepEqual(told(v.data), [1080003]);
  v = await call("updateVerificationFlow", { flow: id, updateVerificationFlowBody: { method: "code", code: await mail(email) } });
  assert.equal(v.data.state, "passed_challenge");
  assert.equal(node(v.data, "continue").attributes.node_type, "a");
  v = await call("updateVerificationFlow", { flow: id, updateVerificationFlowBody: { method: "code", email } });
  assert.equal(v.status, 410);
  assert.equal(v.data.error.id, "self_service_flow_replaced");
  assert.deepEqual(told((await call("getVerificationFlow", { id: v.data.use_flow_id })).data), [4070002]);
  v = await call("getVerificationFlow", { id: "01890000-0000-7000-8000-000000000000" });
  assert.equal(v.status, 404);
  assert.equal(v.data.error.status, "Not Found");

  // Sessions.
  let s = await call("toSession", { xSessionToken: token });
  assert.equal(s.data.identity.verifiable_addresses[0].verified, true);
  assert.equal((await call("toSession", {})).status, 401);
  flow = (await call("createNativeLoginFlow", {})).data;
  r = await call("updateLoginFlow", { flow: flow.id, updateLoginFlowBody: { method: "password", identifier: email, password: "wrong horse" } });
  assert.equal(r.status, 400);
  assert.deepEqual(told(r.data), [4000006]);
  r = await call("updateLoginFlow", { flow: flow.id, updateLoginFlowBody: { method: "password", identifier: email, password } });
  assert.equal(r.status, 200);
  const second = r.data.session_token;
  const list = await call("listMySessions", { xSessionToken: token });
  assert.deepEqual(list.data.map((x) => x.id), [r.data.session.id]);
  assert.equal((await call("disableMySession", { id: r.data.session.id, xSessionToken: token })).status, 204);
  assert.equal((await call("toSession", { xSessionToken: second })).status, 401);
  assert.equal((await call("disableMyOtherSessions", { xSessionToken: token })).data.count, 0);

  // Settings.
  flow = (await call("createNativeSettingsFlow", { xSessionToken: token })).data;
  assert.equal(flow.identity.traits.email, email);
  r = await call("updateSettingsFlow", { flow: flow.id, xSessionToken: token, updateSettingsFlowBody: { method: "profile", traits: { email, name: "Ann" } } });
  assert.equal(r.status, 200);
  assert.equal(r.data.state, "success");
  assert.equal(r.data.identity.traits.name, "Ann");
  r = await call("updateSettingsFlow", { flow: r.data.id, xSessionToken: token, updateSettingsFlowBody: { method: "password", password: "other horse" } });
  assert.deepEqual(told(r.data), [1050001]);

  // Recovery.
  await wait();
  flow = (await call("createNativeRecoveryFlow")).data;
  r = await call("updateRecoveryFlow", { flow: flow.id, updateRecoveryFlowBody: { method: "code", email } });
  assert.deepEqual(told(r.data), [1060003]);
  r = await call("updateRecoveryFlow", { flow: flow.id, updateRecoveryFlowBody: { method: "code", code: "000000" } });
  assert.deepEqual(told(r.data), [4060006]);
  r = await call("updateRecoveryFlow", { flow: flow.id, updateRecoveryFlowBody: { method: "code", code: await mail(email) } });
  const next = r.data.continue_with.find((c) => c.action === "show_settings_ui").flow.id;
  const xSessionToken = r.data.continue_with.find((c) => c.action === "set_ory_session_token").ory_session_token;
  assert.equal((await call("getSettingsFlow", { id: next })).status, 401);
  assert.deepEqual(told((await call("getSettingsFlow", { id: next, xSessionToken })).data), [1060001]);
  r = await call("updateSettingsFlow", { flow: next, xSessionToken, updateSettingsFlowBody: { method: "password", password: "third horse" } });
  assert.equal(r.data.state, "success");
  assert.equal((await call("toSession", { xSessionToken: token })).status, 401); // a recovery ends sessions
  flow = (await call("createNativeLoginFlow", {})).data;
  token = (await call("updateLoginFlow", { flow: flow.id, updateLoginFlowBody: { method: "password", identifier: email, password: "third horse" } })).data.session_token;
  assert.equal((await call("performNativeLogout", { performNativeLogoutBody: { session_token: token } })).status, 204);
  assert.equal((await call("toSession", { xSessionToken: token })).status, 401);
}

// browser is a page that forwards its visitor's cookies, or a script in it.
async function browser() {
  const email = `page-${Math.random()}@example.com`, password = "correct horse";
  const mine = jar();
  const csrf = (flow) => node(flow, "csrf_token").attributes.value;

  let r = mine.keep(await call("createBrowserRegistrationFlow", { returnTo: `${base}/ui/welcome` }));
  assert.equal(r.status, 200);
  assert.equal((await call("getRegistrationFlow", { id: r.data.id })).status, 403);
  let flow = (await call("getRegistrationFlow", { id: r.data.id, cookie: mine.header() })).data;
  r = await call("updateRegistrationFlow", { flow: flow.id, cookie: mine.header(), updateRegistrationFlowBody: { method: "password", password, traits: { email } } });
  assert.equal(r.status, 403);
  assert.equal(r.data.error.id, "security_csrf_violation");
  r = mine.keep(await call("updateRegistrationFlow", {
    flow: flow.id, cookie: mine.header(), updateRegistrationFlowBody: { method: "password", password, traits: { email }, csrf_token: csrf(flow) },
  }));
  assert.equal(r.status, 200);
  assert.equal(r.data.session_token, undefined);

  const { id } = r.data.continue_with.find((c) => c.action === "show_verification_ui").flow;
  flow = (await call("getVerificationFlow", { id, cookie: mine.header() })).data;
  r = await call("updateVerificationFlow", { flow: id, cookie: mine.header(), updateVerificationFlowBody: { method: "code", code: await mail(email), csrf_token: csrf(flow) } });
  assert.equal(r.data.state, "passed_challenge");
  assert.equal(r.data.return_to, `${base}/ui/welcome`);

  const session = (await call("toSession", { cookie: mine.header() })).data;
  assert.equal(session.identity.traits.email, email);
  r = mine.keep(await call("createBrowserSettingsFlow", { cookie: mine.header() }));
  r = await call("updateSettingsFlow", { flow: r.data.id, cookie: mine.header(), updateSettingsFlowBody: { method: "profile", traits: { name: "Bob" }, csrf_token: csrf(r.data) } });
  assert.equal(r.data.state, "success");
  r = await call("createBrowserLoginFlow", { cookie: mine.header() });
  assert.equal(r.data.error.id, "session_already_available");

  let out = (await call("createBrowserLogoutFlow", { cookie: mine.header() })).data;
  assert(out.logout_url.startsWith(base + process.env.PREFIX + "/self-service/logout?token="));
  assert.equal((await call("updateLogoutFlow", { token: "wrong", cookie: mine.header() })).status, 403);
  r = mine.keep(await call("updateLogoutFlow", { token: out.logout_token, cookie: mine.header() }));
  assert.equal(r.status, 204);
  assert.equal((await call("toSession", { cookie: mine.header() })).status, 401);

  r = mine.keep(await call("createBrowserLoginFlow", { cookie: mine.header(), refresh: false }));
  r = mine.keep(await call("updateLoginFlow", { flow: r.data.id, cookie: mine.header(), updateLoginFlowBody: { method: "password", identifier: email, password, csrf_token: csrf(r.data) } }));
  assert.equal(r.status, 200);
  assert.equal((await call("toSession", { cookie: mine.header() })).data.identity.id, session.identity.id);

  const other = jar();
  await wait();
  r = other.keep(await call("createBrowserRecoveryFlow", {}));
  const recover = r.data.id;
  r = await call("updateRecoveryFlow", { flow: recover, cookie: other.header(), updateRecoveryFlowBody: { method: "code", email, csrf_token: csrf(r.data) } });
  r = other.keep(await call("updateRecoveryFlow", { flow: recover, cookie: other.header(), updateRecoveryFlowBody: { method: "code", code: await mail(email), csrf_token: csrf(r.data) } }));
  assert.equal(r.status, 422);
  assert.equal(r.data.redirect_browser_to, `${base}/ui/settings?flow=${recover}`);
  flow = (await call("getSettingsFlow", { id: recover, cookie: other.header() })).data;
  r = await call("updateSettingsFlow", { flow: recover, cookie: other.header(), updateSettingsFlowBody: { method: "password", password: "other horse", csrf_token: csrf(flow) } });
  assert.equal(r.data.state, "success");
  assert.equal((await call("getFlowError", { id: recover })).status, 404);
}

app().then(browser).then(() => console.log("works"), (e) => { console.error(e); process.exit(1); });
