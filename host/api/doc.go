// Package api serves plain HTTP beside the stream: health, readiness, metrics,
// completed conversations, how the apps are doing, and what they have still to
// do.
//
//	GET /healthz                                    the process is alive
//	GET /readyz                                     200, or 503 with the reasons
//	GET /metrics                                    Prometheus
//	GET /v1/conversations?uid=&limit=&cursor=       a user's, newest first
//	GET /v1/conversations/{id}                      one, with what apps made of it
//	GET /v1/apps                                    every app and the pool
//	GET /v1/jobs?app=&conversation=&reason=&state=  what waits, runs and is dead, newest first
//	GET /v1/jobs/{app}/{conversation}               one, with its last attempt
//	POST /v1/jobs/retry, /v1/jobs/drop              what of that is done, or given up
//	GET /v1/replays?app=&limit=                     recordings of invocations, newest first
//	GET /v1/replays/{invocation}                    one, for "auricle app run -replay"
//	GET /v1/cluster                                 the hosts that share the store, their sessions and jobs
//	POST /v1/tokens                                 a single-use token, for a browser's stream
//	GET /v1/users/{uid}/tools                       the tools of apps that a user has
//	POST /v1/users/{uid}/tools/{app}/{tool}         call one
//	POST /v1/users/{uid}/mcp, /v1/mcp               the same over MCP
//	GET /.well-known/omi-tools.json                 the same for Omi's chat, with /v1/omi/tools/
//	POST /v1/reload                                 read the configuration again
//
// Answers are JSON. Whatever goes wrong has one shape,
// {"error":{"code","message","request_id"}}, and every answer carries its
// request id as X-Request-Id; the log has it too. Unknown and repeated query
// parameters are refused, not ignored; so are members of a body. What changes
// something is refused to web pages of other origins.
//
// It reads, and asks other parts to act; it does nothing by itself. What it
// reads it declares as small interfaces, so it depends on no part's inside.
// [Authorise] asks for credentials and their scope: routes says which.
// [LoopbackOnly] guards a whole server, the stream included, against web pages
// that reach it under a name of their own.
//
// Concurrency: handlers run on net/http's goroutines; the package starts none
// and keeps nothing between requests.
package api
