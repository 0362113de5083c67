package config_test

import (
	"testing"

	"github.com/auricle-dev/auricle/host/config"
)

func TestProblemPrintsAsOneLine(t *testing.T) {
	at := config.Pos{File: "config.hcl", Line: 14, Column: 3}
	for _, row := range []struct {
		problem config.Problem
		want    string
	}{
		{config.Problem{Pos: at, What: "what is wrong", Do: "what to do"}, "config.hcl:14:3: what is wrong; what to do"},
		{config.Problem{Pos: at, Severity: config.Warning, What: "what is odd", Do: "what to do"}, "config.hcl:14:3: warning: what is odd; what to do"},
		{config.Problem{Pos: at, What: "what is wrong"}, "config.hcl:14:3: what is wrong"},
		{config.Problem{Pos: config.Pos{File: "AURICLE_LISTEN"}, What: "what is wrong", Do: "what to do"}, "AURICLE_LISTEN: what is wrong; what to do"},
		{config.Problem{What: "what is wrong"}, "what is wrong"},
		// A name from a file can neither break the line nor dress up the terminal.
		{config.Problem{Pos: at, What: "a\nb\tc\x1b[31m\u202e"}, `config.hcl:14:3: a\nb\tc\u001b[31m\u202e`},
	} {
		if got := row.problem.String(); got != row.want {
			t.Errorf("got %q, want %q", got, row.want)
		}
	}
}

func TestProblemsAreAnErrorOnlyWithAFault(t *testing.T) {
	warning := config.Problem{Severity: config.Warning, What: "odd"}
	fault := config.Problem{What: "wrong"}
	for _, row := range []struct {
		problems config.Problems
		want     string
	}{
		{nil, ""},
		{config.Problems{warning}, ""},
		{config.Problems{warning, fault}, "warning: odd\nwrong"},
	} {
		err := row.problems.Err()
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != row.want || row.problems.HasFault() != (row.want != "") {
			t.Errorf("%v: Err() = %q, HasFault() = %v, want %q", row.problems, got, row.problems.HasFault(), row.want)
		}
	}
}

func TestProblemsSortByPlace(t *testing.T) {
	p := func(file string, line, column int, what string) config.Problem {
		return config.Problem{Pos: config.Pos{File: file, Line: line, Column: column}, What: what}
	}
	ps := config.Problems{
		p("AURICLE_LISTEN", 0, 0, "7"), p("a.hcl", 10, 1, "4"), p("a.hcl", 2, 9, "2"), p("a.hcl", 2, 9, "3"),
		p("b.hcl", 1, 1, "5"), p("a.hcl", 2, 1, "1"), p("-listen", 0, 0, "6"),
	}
	ps.Sort()
	got := ""
	for _, p := range ps {
		got += p.What
	}
	if want := "1234567"; got != want {
		t.Errorf("order %s, want %s", got, want)
	}
}
