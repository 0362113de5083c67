// Package api serves plain HTTP beside the stream: health, readiness, metrics,
// completed conversations and how the apps are doing.
//
//	GET /healthz                                    the process is alive
//	GET /readyz                                     200, or 503 with the reasons
//	GET /metrics                                    Prometheus
//	GET /v1/conversations?uid=&limit=&cursor=       a user's, newest first
//	GET /v1/conversations/{id}                      one, with what apps made of it
//	GET /v1/apps                                    every app and the pool
//	GET /v1/replays?app=&limit=                     recordings of invocations, newest first
//	GET /v1/replays/{invocation}                    one, for "auricle app run -replay"
//	POST /v1/reload                                 read the configuration again
//
// Answers are JSON. Whatever goes wrong has one shape,
// {"error":{"code","message","request_id"}}, and every answer carries its
// request id as X-Request-Id; the log has it too. Unknown and repeated query
// parameters are refused, not ignored.
//
// It reads, and asks the host to reload; it does nothing by itself. What it
// reads it declares as small interfaces, so it depends on no part's inside.
// [LoopbackOnly] guards a whole server, the stream included, against web pages
// that reach it under a name of their own.
//
// Concurrency: handlers run on net/http's goroutines; the package starts none
// and keeps nothing between requests.
package api
