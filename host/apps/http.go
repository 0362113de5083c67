package apps

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/host/fetch"
	"github.com/auricle-dev/auricle/host/reach"
	"github.com/auricle-dev/auricle/sdk/event"
)

// What a call of a web service costs, in fuel, before it is made. Its answer
// costs what reading it does.
const (
	httpFuel     = 100_000
	httpByteFuel = 10 // each byte of the request's body
)

// CallWeb has an app of Open call web services: those that its manifest names,
// as c says. It must be called before the first Invoke.
func (a *App) CallWeb(c config.AppHTTP) {
	if a.Holds(event.CapHTTP) {
		a.web = fetch.New(fetch.Options{App: a.Name, Wants: wantedHosts(&a.Manifest), Config: c})
	}
}

// countCalls has the app's calls of web services counted by m.
func (a *App) countCalls(m *fetch.Metrics) {
	if a.web != nil {
		a.web.CountBy(m)
	}
}

// wantedHosts returns the hosts that a manifest names, which was checked.
func wantedHosts(m *event.Manifest) []reach.Host {
	var hosts []reach.Host
	for _, c := range m.Capabilities {
		for _, name := range c.Hosts {
			if h, err := reach.ParseWanted(name); err == nil {
				hosts = append(hosts, h)
			}
		}
	}
	return hosts
}

// http works out which web services the app may call, and reports where the
// grant says what has no effect.
func (l *loading) http(a *App) {
	c := &l.config.HTTP
	warn := func(at config.Pos, what, do string) {
		l.problems = append(l.problems, config.Problem{
			Pos: firstPos(at, l.config.Pos.Block), Severity: config.Warning, What: l.title() + what, Do: do,
		})
	}
	if !a.Holds(event.CapHTTP) {
		if c.Hosts != nil || len(c.Private) > 0 || len(c.Headers) > 0 || !c.Sign.Secret.IsZero() {
			warn(c.Pos.Hosts, "its http block has no effect, for it does not hold http", `grant it, where its manifest asks for it, or remove the block`)
		}
		return
	}
	wants := wantedHosts(&a.Manifest)
	if c.Hosts == nil && !l.open && slices.ContainsFunc(wants, reach.Host.IsEverywhere) {
		l.fault(firstPos(c.Pos.Hosts), "it asks to call the web hosts that you name, and none is named", `write http { hosts = ["api.example.com"] }`)
		return
	}
	for i, h := range c.Hosts {
		if h.Any(wants) {
			continue
		}
		at := c.Pos.Hosts
		if i < len(c.Pos.Each) {
			at = c.Pos.Each[i]
		}
		warn(at, fmt.Sprintf("http.hosts: %s is granted, but not covered by what its manifest names", h), "remove it, or look at what auricle app inspect says")
	}
	if !l.open {
		a.CallWeb(*c)
	}
}

// fetch calls a web service. What kept it from being answered is in the
// response; an error is the end of the invocation's time.
func (g *guest) fetch(ctx context.Context, r event.Request, body []byte) (event.Response, []byte, error) {
	switch {
	case !g.app.Holds(event.CapHTTP):
		return refused(event.CodeNotGranted, "the operator did not grant %s", event.CapHTTP), nil, nil
	case r.HTTP == nil:
		return refused(event.CodeBadRequest, `the request has no "http"`), nil, nil
	case g.app.web == nil:
		return refused(event.CodeNotGranted, "no web service is called here (auricle app run does with -http)"), nil, nil
	}
	if g.lend != nil {
		back := g.lend()
		defer back()
	}
	told, answer, err := g.app.web.Do(ctx, *r.HTTP, body)
	if err == nil {
		return event.Response{OK: true, HTTP: &told}, answer, nil
	}
	if no, ok := errors.AsType[*fetch.Refusal](err); ok {
		return refused(no.Code, "%s", no.Message), nil, nil
	}
	return event.Response{}, nil, err
}
