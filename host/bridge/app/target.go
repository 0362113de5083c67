package main

import (
	"errors"
	"net/url"
	"strings"
)

// target returns a webhook's URL with parameters, names and values in turn,
// added to what its query has already.
func target(hook string, params ...string) (string, error) {
	u, err := url.Parse(hook)
	if err != nil || u.Host == "" {
		return "", errors.New("webhook's address is no URL") // which the host has checked; the text may hold a secret
	}
	var query strings.Builder
	query.WriteString(strings.Trim(u.RawQuery, "&"))
	for i := 0; i+1 < len(params); i += 2 {
		if query.Len() > 0 {
			query.WriteByte('&')
		}
		query.WriteString(url.QueryEscape(params[i]) + "=" + url.QueryEscape(params[i+1]))
	}
	u.RawQuery, u.ForceQuery = query.String(), false
	u.Fragment, u.RawFragment = "", ""
	return u.String(), nil
}
