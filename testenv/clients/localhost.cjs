// Hosts below localhost are this machine (RFC 6761 section 6.3), which the C
// library's resolver doesn't know.
const dns = require("node:dns");
const lookup = dns.lookup;
dns.lookup = (host, options, done) =>
  lookup(host.endsWith(".localhost") ? "127.0.0.1" : host, options, done);
