package webhooks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/auricle-dev/auricle/cmd/auricle/child"
	"github.com/auricle-dev/auricle/cmd/auricle/webhooks/work"
)

// wasmLimits has room for a call that a full machine holds up: by the default a
// healthy app could count as hung. The one that hangs is stopped by its fuel.
const wasmLimits = "  limits {\n    wall = \"1s\"\n  }\n"

// bridgeHTTP lets the bridge call the webhooks here, all streams' as often as
// there is something to say: by the default an app makes 600 calls a minute.
const bridgeHTTP = "  http {\n    private = [\"127.0.0.0/8\"]\n    rate = 1000000\n  }\n"

// start starts what calls the apps, and returns where clients connect.
func (b *bench) start(ctx context.Context, f Form, hung bool) (*child.Child, string, error) {
	if f == FormThreads {
		args := []string{PartThreads}
		for _, t := range work.Tasks {
			args = append(args, b.url(t, hung))
		}
		return child.StartServer(b.o.Command, b.dir, args...)
	}
	config := ""
	for _, t := range work.Tasks {
		config += fmt.Sprintf("app %q {\n", t)
		if f == FormBridge {
			u := b.url(t, hung)
			config += fmt.Sprintf("  webhook {\n    transcript = %q\n    conversation = %q\n  }\n%s", u+pathTranscript, u+pathConversation, bridgeHTTP)
		} else {
			config += fmt.Sprintf("  module = %q\n  grant = [\"transcript\", \"conversation\"]\n  settings = {\n    task = %q\n    hang = %v\n  }\n%s", b.module, t, b.hangs(t, hung), wasmLimits)
		}
		if t == work.Greeting {
			var users []string
			for i := range b.o.Streams {
				users = append(users, fmt.Sprintf("%q", fmt.Sprint(talkUsers, i)))
			}
			config += fmt.Sprintf("  users = [%s]\n", strings.Join(users, ", "))
		}
		config += "}\n"
	}
	h, err := child.StartHost(ctx, b.o.Command, b.dir, config)
	if err != nil {
		return nil, "", err
	}
	return h.Child, h.Address, nil
}

// hangs reports whether an app is the one that hangs.
func (b *bench) hangs(t work.Task, hung bool) bool { return hung && t == work.Greeting }

// url is that of an app's webhook, without the event.
func (b *bench) url(t work.Task, hung bool) string {
	if b.hangs(t, hung) {
		return b.webhooks + pathHung + "/" + string(t)
	}
	return b.webhooks + "/" + string(t)
}

// guest is the package that the module is built of.
const guest = "github.com/auricle-dev/auricle/cmd/auricle/webhooks/guest"

// buildModule returns the file of the module that is the Wasm apps: the one that
// Options.App names, or one that it builds with the go command. That takes a few
// seconds, or half a minute where Go's standard library has not been compiled
// for wasip1 before.
func (b *bench) buildModule(ctx context.Context) (string, error) {
	if b.o.App != "" {
		return filepath.Abs(b.o.App)
	}
	if _, err := exec.LookPath("go"); err != nil {
		return "", fmt.Errorf("the Wasm apps are built with the Go toolchain, and there is no go command on the PATH; install it from https://go.dev/dl, or name a module by -app: %w", err)
	}
	b.say("building the Wasm apps")
	out := filepath.Join(b.dir, "apps.wasm")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildmode=c-shared", "-o", out, guest)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	cmd.WaitDelay = 5 * time.Second
	if said, err := cmd.CombinedOutput(); err != nil {
		return "", errors.Join(ctx.Err(), fmt.Errorf("building the Wasm apps, for which this must run in Auricle's source tree (or -app names a module): %w\n%s", err, strings.TrimSpace(string(said))))
	}
	return out, nil
}
