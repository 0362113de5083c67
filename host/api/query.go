package api

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

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
