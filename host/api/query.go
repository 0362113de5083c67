package api

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/auricle-dev/auricle/host/store"
)

// defaultLimit is how many things a list has where the client does not say.
const defaultLimit = 20

// query reads a request's parameters strictly: each of known at most once,
// and no other. The error is fit for the client.
func query(r *http.Request, known ...string) (url.Values, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, fmt.Errorf("the query string can't be read: %w", err)
	}
	var names []string
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names) // the same fault, the same message
	for _, name := range names {
		if !slices.Contains(known, name) {
			if len(known) == 0 {
				return nil, fmt.Errorf("unknown parameter %.64q; this path takes none", name)
			}
			return nil, fmt.Errorf("unknown parameter %.64q; known: %s", name, strings.Join(known, ", "))
		}
		if len(values[name]) > 1 {
			return nil, fmt.Errorf("parameter %s is given %d times; give it once", name, len(values[name]))
		}
	}
	return values, nil
}

// limitOf returns the parameter limit of a list: how many things it may have.
func limitOf(values url.Values) (int, error) {
	if !values.Has("limit") {
		return defaultLimit, nil
	}
	s := values.Get("limit")
	n, err := strconv.Atoi(s)
	if err != nil || strconv.Itoa(n) != s || n < store.MinPage || n > store.MaxPage {
		return 0, fmt.Errorf("limit %.64q is not a number from %d to %d", s, store.MinPage, store.MaxPage)
	}
	return n, nil
}
