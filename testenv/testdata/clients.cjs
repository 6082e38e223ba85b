const { FrontendApi } = require("@ory/client");
const { FrontendApi: FetchApi } = require("@ory/client-fetch");
const { FlowsApi } = require("@goauthentik/api");
require("node:dns").lookup("any.localhost", {}, (err, address) => {
  if (err) throw err;
  console.log(address, typeof FrontendApi, typeof FetchApi, typeof FlowsApi, process.env.WHO);
});
