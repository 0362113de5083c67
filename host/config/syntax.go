package config

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// The bounds of what is given to the HCL parser. It recurses, so that depth
// costs stack, and a Go program does not survive running out of it.
const (
	maxFileBytes = 256 << 10
	maxDepth     = 64      // brackets within brackets
	maxOperators = 256     // operators that nest without brackets, and templates; none of them is a plain value
	maxRounds    = 32      // looks at a file with syntax errors, and
	maxLooked    = 1 << 20 // bytes looked at in all of them
)

// parseSyntax reads t as HCL. Its own parser all but stops reporting after
// the first syntax error; so that one run shows them all, the line of each
// error is blanked and the rest looked at again. clean reports whether there
// was no syntax error; otherwise the body lacks what could not be read. body
// is nil when nothing could be.
func parseSyntax(t *text) (body *hclsyntax.Body, clean bool, ps Problems) {
	if p, ok := tooDeep(t); ok {
		return nil, false, Problems{p}
	}
	src := bytes.Clone(t.src)
	clean = true
	found := diagnoses{text: t, at: map[Pos]bool{}}
	for round := 1; ; round++ {
		f, diags := hclsyntax.ParseConfig(src, t.file, hcl.InitialPos)
		body, _ = f.Body.(*hclsyntax.Body)
		twice, broken := splitDiagnostics(t.file, diags)
		if len(broken) == 0 {
			found.add(twice)
			return body, clean, found.problems
		}
		clean = false
		first := broken[0]
		surplus := closesNothing(src, first)
		if surplus {
			first.Summary = surplusBracket
		}
		last := round == maxRounds || (round+1)*len(src) > maxLooked
		if last || !blankLine(src, first, surplus) {
			found.add(broken)
			found.add(twice)
			return body, clean, found.problems
		}
		found.add(broken[:1])
	}
}

// splitDiagnostics parts what is well formed but given twice from what can't
// be read, each in order of position.
func splitDiagnostics(file string, diags hcl.Diagnostics) (twice, broken hcl.Diagnostics) {
	for _, d := range diags {
		if d.Subject == nil {
			d.Subject = &hcl.Range{Filename: file, Start: hcl.InitialPos, End: hcl.InitialPos}
		}
		if d.Summary == redefined {
			twice = append(twice, d)
		} else {
			broken = append(broken, d)
		}
	}
	slices.SortStableFunc(broken, func(a, b *hcl.Diagnostic) int { return a.Subject.Start.Byte - b.Subject.Start.Byte })
	return twice, broken
}

// lineOf returns where the line on which d begins starts and ends in src, and
// where in src d begins.
func lineOf(src []byte, d *hcl.Diagnostic) (begin, end, at int) {
	at = min(d.Subject.Start.Byte, len(src))
	begin = bytes.LastIndexByte(src[:at], '\n') + 1
	end = len(src)
	if i := bytes.IndexByte(src[at:], '\n'); i >= 0 {
		end = at + i
	}
	return begin, end, at
}

// depthOf returns how many more brackets line opens than it closes. It reports
// false for a line that begins text of several lines.
func depthOf(line []byte) (int, bool) {
	tokens, _ := hclsyntax.LexConfig(line, "", hcl.InitialPos)
	depth := 0
	for _, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenOHeredoc:
			return 0, false
		case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen:
			depth++
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen:
			depth--
		}
	}
	return depth, true
}

// closesNothing reports whether d is about a closing bracket that has no
// opening one.
func closesNothing(src []byte, d *hcl.Diagnostic) bool {
	begin, end, at := lineOf(src, d)
	depth, ok := depthOf(src[begin:end])
	return ok && depth < 0 && at < end && bytes.IndexByte([]byte("}])"), src[at]) >= 0
}

// blankLine overwrites the line on which d begins with spaces. It reports
// false, and leaves src alone, when the line is blank already or has a bracket
// that is needed to read the others; surplus says that its brackets are not.
func blankLine(src []byte, d *hcl.Diagnostic, surplus bool) bool {
	begin, end, _ := lineOf(src, d)
	line := src[begin:end]
	if depth, ok := depthOf(line); len(bytes.TrimSpace(line)) == 0 || !ok || depth != 0 && !surplus {
		return false
	}
	for i := range line {
		line[i] = ' '
	}
	return true
}

// tooDeep finds what would cost the parser too much stack.
func tooDeep(file *text) (Problem, bool) {
	tokens, _ := hclsyntax.LexConfig(file.src, file.file, hcl.InitialPos)
	depth, operators := 0, 0
	var last hclsyntax.TokenType
	for _, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenNewline, hclsyntax.TokenComment:
			continue
		case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen:
			depth++
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen:
			depth--
		case hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
			depth++
			operators++
		case hclsyntax.TokenTemplateSeqEnd:
			depth--
		case hclsyntax.TokenBang, hclsyntax.TokenQuestion:
			operators++
		case hclsyntax.TokenMinus:
			if last == hclsyntax.TokenMinus {
				operators++
			}
		}
		last = t.Type
		if depth > maxDepth {
			return Problem{
				Pos:  file.at(t.Range.Start),
				What: fmt.Sprintf("more than %d brackets within brackets", maxDepth),
				Do:   "make it flatter, or close the brackets before it",
			}, true
		}
		if operators > maxOperators {
			return Problem{
				Pos:  file.at(t.Range.Start),
				What: "calculations and templates are not values",
				Do:   plainValues,
			}, true
		}
	}
	return Problem{}, false
}

// diagnoses collects what the HCL parser finds, one problem for each place.
type diagnoses struct {
	text     *text
	problems Problems
	at       map[Pos]bool
}

func (ds *diagnoses) add(diags hcl.Diagnostics) {
	for _, d := range diags {
		p := Problem{
			Pos:  ds.text.at(d.Subject.Start),
			What: firstSentence(d.Detail),
			Do:   syntaxAdvice(d),
		}
		if what, ok := syntaxWords[d.Summary]; ok {
			p.What = what
		}
		if d.Summary == redefined {
			p.What = "this key is given twice"
			if _, after, ok := strings.Cut(d.Detail, `The argument "`); ok {
				if name, _, ok := strings.Cut(after, `"`); ok {
					p.What = name + " is given twice"
				}
			}
		}
		if !ds.at[p.Pos] {
			ds.at[p.Pos] = true
			ds.problems = append(ds.problems, p)
		}
	}
}

// redefined is the summary of a diagnostic about a key given twice.
const redefined = "Attribute redefined"

// surplusBracket is the summary of a diagnostic about a closing bracket that
// has no opening one.
const surplusBracket = "Surplus bracket"

// syntaxWords says in an operator's words what the parser says in its own.
var syntaxWords = map[string]string{
	surplusBracket:                   "this bracket closes nothing",
	"Missing newline after argument": "the value ends here, but the line goes on",
	"Unclosed configuration block":   "this block is never closed",
	"Invalid expression":             "a value is expected here",
	"Missing expression":             "a value is expected here",
	"Invalid multi-line string":      "this text is not closed on its line",
	"Unterminated template string":   "this text is never closed",
	"Invalid character encoding":     "these bytes are not UTF-8",
	"Invalid argument name":          "the name of a key has quotes",
}

// syntaxAdvice says what to do about a syntax error.
func syntaxAdvice(d *hcl.Diagnostic) string {
	switch d.Summary {
	case surplusBracket:
		return "remove it, or open a block before it"
	case redefined:
		if _, first, ok := strings.Cut(d.Detail, "already set at "); ok {
			if line := lineOfRange(first); line != "" {
				return "keep one of the two (the other is on line " + line + ")"
			}
		}
		return "keep one of the two"
	case "Missing newline after argument", "Unexpected comma after argument":
		return `put each key on a line of its own, and quotes around text, durations and sizes, such as "250ms" or "32MiB"`
	case "Unclosed configuration block", "Unclosed configuration body":
		return "add the } that closes it"
	case "Invalid expression", "Missing expression":
		return `write a number, true, false, text in quotes, a list [ … ] or an object { … }`
	case "Invalid multi-line string", "Unterminated template string", "Unterminated string literal":
		return `close it with a " on the same line`
	case "Invalid character":
		switch {
		case strings.Contains(d.Detail, "quotes") || strings.Contains(d.Detail, "`"):
			return `put text in straight double quotes, such as "info"`
		case strings.Contains(d.Detail, ";"):
			return "put each key on a line of its own"
		}
		return "remove it"
	case "Invalid character encoding":
		return "save the file as UTF-8"
	case "Invalid argument name":
		return `write the name without quotes, such as listen = "127.0.0.1:7080"`
	case "Invalid block definition", "Argument or block definition required", "Argument definition required":
		return `write key = value, or a block such as pool { … } or app "name" { … }`
	case "Invalid single-argument block definition":
		return "put the block's { and } and each of its keys on lines of their own"
	case "Missing newline after block definition":
		return "start what follows the } on a new line"
	case "Missing item separator", "Unterminated tuple constructor expression":
		return `separate the items with commas and close the list with a ], such as ["a", "b"]`
	case "Missing attribute separator", "Missing key/value separator", "Missing attribute value", "Unterminated object constructor expression":
		return `write an object as { name = "value", other = 5 }`
	case "Invalid escape sequence":
		return `write \\ for a backslash, \" for a quote, \n for a new line`
	case "Invalid number literal":
		return "write the number in decimal, such as 50 or 50e6"
	}
	return "put it right; " + plainValues
}

// lineOfRange returns the line in a range as HCL prints it, "file:3,1-7".
func lineOfRange(s string) string {
	comma := strings.IndexByte(s, ',')
	if comma < 0 {
		return ""
	}
	line := s[strings.LastIndexByte(s[:comma], ':')+1 : comma]
	if strings.ContainsFunc(line, func(r rune) bool { return r < '0' || r > '9' }) {
		return ""
	}
	return line
}

// firstSentence returns the first sentence of s without its full stop,
// beginning small, so that it fits into a problem.
func firstSentence(s string) string {
	s, _, _ = strings.Cut(s, ". ")
	s = strings.TrimRight(strings.TrimSpace(s), ".")
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToLower(r)) + s[n:]
}
