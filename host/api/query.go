package api

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
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

// page reads which part of a list is asked for. When that is no good it answers
// and reports false.
func page(w http.ResponseWriter, r *http.Request, values url.Values, least, most int) (limit int, cursor string, ok bool) {
	limit = defaultLimit
	if values.Has("limit") {
		s := values.Get("limit")
		n, err := strconv.Atoi(s)
		if err != nil || strconv.Itoa(n) != s || n < least || n > most {
			fail(w, r, http.StatusBadRequest, "bad_limit", fmt.Sprintf("limit %.64q is not a number from %d to %d", s, least, most))
			return 0, "", false
		}
		limit = n
	}
	cursor = values.Get("cursor")
	if values.Has("cursor") && cursor == "" {
		fail(w, r, http.StatusBadRequest, "bad_cursor", "cursor is empty; leave it out for the first page")
		return 0, "", false
	}
	return limit, cursor, true
}
