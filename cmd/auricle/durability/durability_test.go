package durability_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/auricle-dev/auricle/cmd/auricle/durability"
)

// options let the hosts be the command that AURICLE names, or one that is
// built here.
func options(t *testing.T) durability.Options {
	t.Helper()
	command := os.Getenv("AURICLE")
	if command == "" {
		command = filepath.Join(t.TempDir(), "auricle")
		if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", command, "..").CombinedOutput(); err != nil {
			t.Fatalf("building the command: %v\n%s", err, out)
		}
	}
	return durability.Options{Command: []string{command}, Dir: t.TempDir()}
}

func TestAHostThatIsKilledLosesNothing(t *testing.T) {
	t.Parallel() // it waits more than it works
	r, err := durability.Crash(t.Context(), durability.CrashOptions{Options: options(t), Kills: 5, Clients: 16})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", r)
	if err := r.Err(); err != nil {
		t.Error(err)
	}
	if r.Kills != 5 || r.Resumes == 0 || r.Expired > 0 {
		t.Errorf("%d kills, %d resumes and %d sessions that had to begin anew; want 5, some and none", r.Kills, r.Resumes, r.Expired)
	}
}

// Where the machine lets file systems be made and mounted, what was not synced
// is forgotten, too, and the disk fills up.
func TestWorseThanAKill(t *testing.T) {
	for _, fault := range []durability.Fault{durability.FaultPower, durability.FaultFull} {
		t.Run(string(fault), func(t *testing.T) {
			r, err := durability.Crash(t.Context(), durability.CrashOptions{Options: options(t), Kills: 1, Clients: 8, Fault: fault})
			if r.Kills == 0 && err != nil {
				t.Skipf("this machine can't: %v", err)
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%+v", r)
			if err := r.Err(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Three hosts on three NATS servers: one dies, the others go on.
func TestTheOthersGoOnWhereAHostDied(t *testing.T) {
	t.Parallel() // it waits more than it works
	r, err := durability.Cluster(t.Context(), durability.ClusterOptions{
		Options: options(t), Clients: 9, Silent: 3, Grace: 2 * time.Second, Talk: 2 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", r)
	if err := r.Err(); err != nil {
		t.Error(err)
	}
	if r.TakeOverSeconds > 60 || r.Expired > 0 {
		t.Errorf("taking over took %.1f s, %d sessions had to begin anew; want 60 s at most and none", r.TakeOverSeconds, r.Expired)
	}
}
