// Package selfservice is a door for apps that were written for Ory Kratos: its
// self-service API over our engine, for its published clients as they are.
//
//	GET    /self-service/{flow}/{api|browser}   begin a flow: login, registration, recovery, verification, settings
//	GET    /self-service/{flow}/flows?id=       read it (the seed document's operation)
//	POST   /self-service/{flow}?flow=           answer it
//	GET    /self-service/verification?flow=&code=   a link in a message; it fills the code in
//	GET    /self-service/logout/browser, /self-service/logout?token=; DELETE /self-service/logout/api
//	GET    /self-service/errors?id=             what went wrong, for an error page
//	GET    /sessions/whoami, /sessions; DELETE /sessions, /sessions/{id}
//
// All of it answers below /auth too, the prefix of the seed document.
//
//	flow.go       a flow: the run behind it, and what is noted with it
//	document.go   a flow as clients see it
//	nodes.go      what a page asks for: nodes from the engine's actions
//	submit.go     what a form does to a flow
//	inputs.go     what a form says: the engine's inputs from its fields
//	error.go      every refusal as an error: its status, its id
//	refusals.go   every refusal as messages of the form
//	messages.go   every text, by its id
//	csrf.go negotiate.go returnto.go            browsers
//	login.go registration.go recovery.go verification.go settings.go   what each flow comes to
//	sessions.go logout.go
//
// It owns the dialect: documents, nodes, message ids, cookies, redirects. A flow
// is a run that is known by its id, as a UUID; what the dialect has to remember of it
// is one note that the engine keeps, sealed.
//
// It does not own what a flow does, who may in, or what is counted (flowengine),
// nor any page: those are the tenant's, whose URLs stand in its configuration.
package selfservice
