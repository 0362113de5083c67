// Package jobs sees to it that each app's work on a completed conversation is
// done, and that its effects count once.
//
// The way of the data: when the store holds a conversation as completed,
// [Jobs.Start] has each app that it is due to run at once, in the mailboxes of
// its session. A result goes to the store (FinishJob: the first one of an app
// counts, whoever wrote it), and only then to the client. Once every due app has
// its result or its Job record, the conversation is settled: nothing is missing
// any more.
//
// A Job is written only of what could not be done at once: the attempt failed,
// or there was none (the app's breaker was open, its queue was full, it is not
// installed now, or the host that should have made it died). [Jobs.Run] follows
// the records, and when one is due claims it by compare-and-set, runs it and
// removes it, has it wait longer, or makes it a dead letter. Hosts that share a
// store share its jobs by that: of two that claim one, one wins. What a host
// that died, or this one's earlier life, was running can be claimed again.
//
// # Attempts
//
//	how the last attempt ended               attempts in all
//	trap, fuel_exhausted, memory_exceeded    2: the same again is the likely end of the same
//	app_error, deadline_exceeded,            Options.Attempts
//	host_error
//	breaker_open, queue_full, shutdown,      it was none, and costs none
//	not_installed
//	switched_off                             none more: the user has switched the app off
//
// Between two attempts lies base·4^(k-1) after the k-th, each ±20 %; without
// the jitter, the waits of Options.Attempts attempts are Options.Over in all.
//
// # Bounds and policies
//
//	what                          bound                            beyond it
//	results and records that      one for each due app of the      -
//	wait for the store            completions that the store took
//	                              and dispatch has answered
//	writes at once                256                              they wait
//	jobs in memory                Options.Loaded live, as many     they stay in the store, and are loaded
//	                              dead ones                        when there is room
//	attempts of jobs at once      Share of each app's, 32 in all   they wait
//
// A store that stalls stops completions too, so that the first of these does
// not grow meanwhile.
//
// # Concurrency
//
// Every method may be called concurrently. Start and Due never wait for the
// store or an app. Goroutines are those of Run, of attempts and of writes;
// Close waits for all of them. Lock order: Jobs.mu, then dispatch's; it is
// never held across a call of the store.
//
// It may import host/apps, host/dispatch, host/store and plugins. It neither
// runs modules nor knows clients.
package jobs
