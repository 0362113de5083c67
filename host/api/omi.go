package api

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/auricle-dev/auricle/host/auth"
	"github.com/auricle-dev/auricle/host/tools"
)

// The paths for Omi's chat, which reads a manifest of tools and calls their
// endpoints (BasedHardware/omi, backend/utils/retrieval/tools/app_tools.py).
const (
	omiManifestPath = "/.well-known/omi-tools.json"
	omiToolsPath    = "/v1/omi/tools"
)

// omiTool is a tool in Omi's manifest.
type omiTool struct {
	Name          string          `json:"name"`
	Description   string          `json:"description"`
	Endpoint      string          `json:"endpoint"` // behind app_home_url, which Omi puts before it
	Method        string          `json:"method"`
	Parameters    json.RawMessage `json:"parameters"`
	AuthRequired  bool            `json:"auth_required"`
	StatusMessage string          `json:"status_message,omitempty"`
}

// omiBearer has a token that came as HTTP Basic's password taken as Bearer, at
// Omi's paths only: all that its chat can send is what stands in a URL, and its
// HTTP client sends https://name:token@host as Basic.
func omiBearer(r *http.Request) *http.Request {
	if !within(r.URL.Path, []string{omiManifestPath, omiToolsPath}) {
		return r
	}
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return r
	}
	scheme, text, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Basic") {
		return r
	}
	pair, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	_, token, ok := strings.Cut(string(pair), ":")
	if err != nil || !ok {
		return r
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

// omiPath reads what is below omiToolsPath: an app, or an app and its tool.
func omiPath(escaped string) (app, tool string, ok bool) {
	rest, ok := strings.CutPrefix(escaped, omiToolsPath+"/")
	if !ok {
		return "", "", false
	}
	app, tool, called := strings.Cut(rest, "/")
	app, err := url.PathUnescape(app)
	if err != nil || app == "" {
		return "", "", false
	}
	tool, err = url.PathUnescape(tool)
	if err != nil || called && tool == "" || strings.Contains(tool, "/") {
		return "", "", false
	}
	return app, tool, true
}

// omi answers GET /.well-known/omi-tools.json (app is empty), GET
// /v1/omi/tools/{app} and POST /v1/omi/tools/{app}/{tool}.
func (h *handler) omi(w http.ResponseWriter, r *http.Request, app, tool string) {
	if _, err := query(r); err != nil {
		fail(w, r, http.StatusBadRequest, "bad_query", err.Error())
		return
	}
	switch read := r.Method == http.MethodGet || r.Method == http.MethodHead; {
	case tool == "" && !read:
		w.Header().Set("Allow", "GET, HEAD")
		fail(w, r, http.StatusMethodNotAllowed, "method_not_allowed", "this path answers GET only")
	case tool == "":
		h.omiManifest(w, r, app)
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", "POST")
		fail(w, r, http.StatusMethodNotAllowed, "method_not_allowed", "this path answers POST only")
	default:
		h.omiCall(w, r, app, tool)
	}
}

// omiManifest lists tools as Omi reads them: of the user whom the credentials
// fix, else all that are installed.
func (h *handler) omiManifest(w http.ResponseWriter, r *http.Request, app string) {
	list := struct {
		Tools []omiTool `json:"tools"`
	}{[]omiTool{}}
	for _, t := range h.o.Tools.Of(identity(r).UID) {
		if app != "" && t.App != app {
			continue
		}
		name := t.ID()
		if app != "" {
			name = t.Name // Omi puts the id of its app before it
		}
		list.Tools = append(list.Tools, omiTool{
			Name: name, Description: t.Description, Method: http.MethodPost, AuthRequired: true,
			Endpoint:   omiToolsPath + "/" + url.PathEscape(t.App) + "/" + url.PathEscape(t.Name),
			Parameters: t.Parameters, StatusMessage: t.StatusMessage,
		})
	}
	if app != "" && len(list.Tools) == 0 {
		fail(w, r, http.StatusNotFound, tools.CodeUnknownTool, fmt.Sprintf("there is no app %.128q with tools here", app))
		return
	}
	respond(w, http.StatusOK, list)
}

// omiCall calls a tool for Omi's chat. What the model can mend, and an app that
// failed, is 200 with an error: any other status counts against the endpoint
// there, until all of it is switched off.
func (h *handler) omiCall(w http.ResponseWriter, r *http.Request, app, tool string) {
	body, ok := callBody(w, r)
	if !ok {
		return
	}
	uid, arguments, err := parseOmiCall(body)
	if err != nil {
		fail(w, r, http.StatusBadRequest, "bad_body", err.Error())
		return
	}
	if err := checkUID(uid); err != nil {
		fail(w, r, http.StatusBadRequest, "bad_uid", err.Error())
		return
	}
	if !identity(r).ActsFor(uid) {
		h.refuse(w, r, &auth.Refusal{Code: auth.CodeUser, Message: "these credentials are another user's"})
		return
	}
	result, err := h.o.Tools.Call(r.Context(), tools.Omi, uid, app, tool, arguments)
	if err != nil {
		f, status := failureOf(err), http.StatusOK
		if !f.Ran() && f.Code != tools.CodeBadArguments {
			status = callStatus(f)
		}
		retryAfter(w, f)
		respond(w, status, map[string]string{"error": f.Message})
		return
	}
	text := string(result)
	var s string
	if json.Unmarshal(result, &s) == nil && text != "null" {
		text = s
	}
	respond(w, http.StatusOK, map[string]string{"result": text})
}

// parseOmiCall parts the flat body of Omi's chat into the user and the tool's
// arguments: all but its own members uid, app_id, tool_name and geolocation. A
// member that is null is left out, as it says there that nothing was given.
func parseOmiCall(body []byte) (uid string, arguments []byte, err error) {
	const example = `for example {"uid":"ada","app_id":"…","tool_name":"convert","value":5}`
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return "", nil, errors.New("the body is not a JSON object; " + example)
	}
	own := map[string]json.RawMessage{}
	given := map[string]json.RawMessage{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return "", nil, errors.New("the body is not JSON; " + example)
		}
		name, _ := t.(string)
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return "", nil, errors.New("the body is not JSON; " + example)
		}
		into := given
		switch name {
		case "uid", "app_id", "tool_name", "geolocation":
			into = own
		}
		if _, twice := into[name]; twice {
			return "", nil, fmt.Errorf("member %.64q is given twice", name)
		}
		into[name] = value
	}
	if _, err := d.Token(); err != nil {
		return "", nil, errors.New("the body is not JSON; " + example)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return "", nil, errors.New("there is more behind the JSON object")
	}
	if err := json.Unmarshal(own["uid"], &uid); err != nil || uid == "" {
		return "", nil, errors.New("uid is missing, or is no text; " + example)
	}
	for name, value := range given {
		if string(value) == "null" {
			delete(given, name)
		}
	}
	arguments, err = json.Marshal(given)
	return uid, arguments, err
}
