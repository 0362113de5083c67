package config

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/knadh/koanf/v2"
	"github.com/zclconf/go-cty/cty"
)

// plainValues is what to do about anything that would have to be computed.
const plainValues = "write the value itself: a configuration file has no variables, functions or calculations"

// parser is a koanf.Parser for HCL 2 that keeps positions: a leaf of what it
// returns is a value, or, for the apps, a []appBlock. It returns no error;
// what is wrong is in problems, and left out of the map.
type parser struct {
	file     string // as the operator named it
	text     *text
	problems Problems
	clean    bool       // no syntax error, so that what is missing really is
	tokens   []appBlock // auth.token blocks

	variables func(name string) string // what env("…") stands for; "" is not set
}

var _ koanf.Parser = (*parser)(nil)

// appBlock is an app block, or an auth.token block, as written, with the paths of its keys ("module",
// "limits.fuel").
type appBlock struct {
	Name   string
	Pos    Pos
	Values map[string]value
	Blocks []appBlock // those with a name in it: an app's http.header
}

// Unmarshal returns the nested map that koanf merges.
func (p *parser) Unmarshal(src []byte) (map[string]any, error) {
	p.text = newText(p.file, src)
	body, clean, ps := parseSyntax(p.text)
	p.clean, p.problems = clean, append(p.problems, ps...)
	tree := map[string]any{}
	if body == nil {
		return tree, nil
	}
	p.attributes(body, "", "", func(name string, v value) { tree[name] = v })

	var appBlocks []appBlock
	seen := map[string]Pos{}
	for _, b := range body.Blocks {
		if !p.known(b, "", "") {
			continue
		}
		if b.Type == appPath {
			if app, ok := p.named(b, appPath, "keywords"); ok {
				appBlocks = append(appBlocks, app)
			}
			continue
		}
		if p.once(b, "", seen) {
			tree[b.Type] = p.block(b, b.Type)
		}
	}
	tree[appPath] = appBlocks
	return tree, nil
}

// block reads the keys of a block at path, and of the blocks in it.
func (p *parser) block(b *hclsyntax.Block, path string) map[string]any {
	keys := map[string]any{}
	p.attributes(b.Body, path, "", func(name string, v value) { keys[name] = v })
	seen := map[string]Pos{}
	for _, inner := range b.Body.Blocks {
		if !p.known(inner, path, "") {
			continue
		}
		if path+"."+inner.Type == authTokenPath {
			if token, ok := p.named(inner, authTokenPath, "backend"); ok {
				p.tokens = append(p.tokens, token)
			}
			keys[inner.Type] = p.tokens
			continue
		}
		if p.once(inner, "", seen) {
			keys[inner.Type] = p.block(inner, path+"."+inner.Type)
		}
	}
	return keys
}

// once reports a block that has a name, and, by false, one that is there twice.
func (p *parser) once(b *hclsyntax.Block, label string, seen map[string]Pos) bool {
	at := p.at(b.TypeRange)
	if len(b.Labels) > 0 {
		p.fault(p.at(b.LabelRanges[0]), fmt.Sprintf("%sblock %s takes no name", label, b.Type), "write "+b.Type+" { … }")
	}
	if first, ok := seen[b.Type]; ok {
		p.fault(at, fmt.Sprintf("%sblock %s is given twice", label, b.Type),
			fmt.Sprintf("put its keys into the one on line %d", first.Line))
		return false
	}
	seen[b.Type] = at
	return true
}

// Marshal is there for the interface: a configuration is never written.
func (p *parser) Marshal(map[string]any) ([]byte, error) {
	return nil, errors.New("config: a configuration is read, not written")
}

// named reads a block with a name, whose keys are at path. It reports false
// when the block has no usable name.
func (p *parser) named(b *hclsyntax.Block, path, example string) (appBlock, bool) {
	app := appBlock{Pos: p.at(b.TypeRange), Values: map[string]value{}}
	if len(b.Labels) != 1 {
		at := app.Pos
		if len(b.Labels) > 1 {
			at = p.at(b.LabelRanges[1])
		}
		p.fault(at, fmt.Sprintf("%s block has one name, got %d", article(b.Type), len(b.Labels)), fmt.Sprintf("write %s %q { … }", b.Type, example))
	} else {
		app.Name = b.Labels[0]
		if do := badAppName(app.Name); do != "" {
			p.fault(p.at(b.LabelRanges[0]), fmt.Sprintf("%s %s: not %s's name", b.Type, quote(app.Name), article(b.Type)), do)
		}
	}
	label := fmt.Sprintf("%s %s: ", b.Type, quote(app.Name))
	p.attributes(b.Body, path, label, func(name string, v value) { app.Values[name] = v })
	seen := map[string]Pos{}
	for _, inner := range b.Body.Blocks {
		if !p.known(inner, path, label) || !p.once(inner, label, seen) {
			continue
		}
		innerPath := path + "." + inner.Type
		p.attributes(inner.Body, innerPath, label, func(name string, v value) { app.Values[inner.Type+"."+name] = v })
		within := map[string]Pos{}
		for _, deeper := range inner.Body.Blocks {
			if !p.known(deeper, innerPath, label) {
				continue
			}
			deeperPath := innerPath + "." + deeper.Type
			if deeperPath == appHTTPHeader {
				app.Blocks = append(app.Blocks, p.header(deeper, label)...)
				continue
			}
			if !p.once(deeper, label, within) {
				continue
			}
			p.attributes(deeper.Body, deeperPath, label, func(name string, v value) {
				app.Values[inner.Type+"."+deeper.Type+"."+name] = v
			})
			for _, deepest := range deeper.Body.Blocks {
				p.known(deepest, deeperPath, label)
			}
		}
	}
	return app, len(b.Labels) == 1
}

// header reads a header block of an app's http block; none when it has no name.
func (p *parser) header(b *hclsyntax.Block, label string) []appBlock {
	h := appBlock{Pos: p.at(b.TypeRange), Values: map[string]value{}}
	if len(b.Labels) != 1 {
		p.fault(h.Pos, fmt.Sprintf("%sa header block has one name, got %d", label, len(b.Labels)), `write header "Authorization" { … }`)
	} else {
		h.Name = b.Labels[0]
	}
	label += "http.header " + quote(h.Name) + ": "
	p.attributes(b.Body, appHTTPHeader, label, func(name string, v value) { h.Values[name] = v })
	for _, inner := range b.Body.Blocks {
		p.known(inner, appHTTPHeader, label)
	}
	if h.Name == "" {
		return nil
	}
	return []appBlock{h}
}

// article returns a block's type with its article.
func article(blockType string) string {
	if blockType == appPath {
		return "an app"
	}
	return "a " + blockType
}

// badAppName returns what to do about a name that is none, or "".
func badAppName(name string) string {
	const rule = "begin with a lower-case letter and go on with lower-case letters, digits, '-', '_' and '.'"
	switch {
	case name == "":
		return "give it a name: " + rule
	case len(name) > maxAppName:
		return fmt.Sprintf("use at most %d characters", maxAppName)
	case name[0] < 'a' || name[0] > 'z':
		return rule
	}
	for _, r := range name {
		if !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.') {
			return rule
		}
	}
	return ""
}

// attributes gives put every key of a body that the table knows at path, and
// reports the others.
func (p *parser) attributes(body *hclsyntax.Body, path, label string, put func(name string, v value)) {
	for name, a := range body.Attributes {
		at := p.at(a.NameRange)
		switch k, ok := lookup(join(path, name)); {
		case ok:
			read := p.value
			if k.Kind == Hidden {
				read = p.secret
			}
			v, ok := read(a.Expr, label+k.inApp(), k.Env())
			if !ok {
				v = value{Form: formBroken, Pos: p.at(a.Expr.Range()), Origin: fromFile}
			}
			put(name, v)
		case isBlock(join(path, name)):
			p.fault(at, label+name+" is a block", fmt.Sprintf("write %s { … } without the equals sign", name))
		default:
			p.unknown(at, "key", path, name, label)
		}
	}
}

// known reports whether the table has a block of b's type at path, and
// reports it otherwise.
func (p *parser) known(b *hclsyntax.Block, path, label string) bool {
	at := p.at(b.TypeRange)
	if isBlock(join(path, b.Type)) {
		return true
	}
	if k, ok := lookup(join(path, b.Type)); ok {
		p.fault(at, fmt.Sprintf("%s%s is a key, not a block", label, b.Type), "write it with an equals sign, such as "+b.Type+" = "+k.example())
		return false
	}
	p.unknown(at, "block", path, b.Type, label)
	return false
}

func (p *parser) unknown(at Pos, what, path, name, label string) {
	in := ""
	if block := strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(path, appPath), authTokenPath), "."); block != "" {
		in = " in block " + block
	}
	p.fault(at, fmt.Sprintf("%sunknown %s %s%s", label, what, quote(name), in), suggestKey(what, path, name))
}

// value reads an expression that is a plain value. It reports false when it is
// none, which is then among the problems.
func (p *parser) value(expr hclsyntax.Expression, label, env string) (value, bool) {
	v := value{Pos: p.at(expr.Range()), Origin: fromFile}
	switch e := expr.(type) {
	case *hclsyntax.ParenthesesExpr:
		return p.value(e.Expression, label, env)
	case *hclsyntax.LiteralValueExpr:
		return p.literal(v, e.Val, label)
	case *hclsyntax.UnaryOpExpr:
		if lit, ok := e.Val.(*hclsyntax.LiteralValueExpr); ok && e.Op == hclsyntax.OpNegate && lit.Val.Type() == cty.Number && lit.Val.IsKnown() && !lit.Val.IsNull() {
			return p.literal(v, lit.Val.Negate(), label)
		}
	case *hclsyntax.TemplateExpr:
		var text strings.Builder
		for _, part := range e.Parts {
			lit, ok := part.(*hclsyntax.LiteralValueExpr)
			if !ok || lit.Val.Type() != cty.String || !lit.Val.IsKnown() || lit.Val.IsNull() {
				return p.computed(part, label, env)
			}
			text.WriteString(lit.Val.AsString())
		}
		v.Form, v.Text = formString, text.String()
		return v, true
	case *hclsyntax.TupleConsExpr:
		v.Form = formList
		ok := true
		for _, item := range e.Exprs {
			iv, iok := p.value(item, label, env)
			v.Items = append(v.Items, iv)
			ok = ok && iok
		}
		return v, ok
	case *hclsyntax.ObjectConsExpr:
		return p.object(v, e, label, env)
	}
	return p.computed(expr, label, env)
}

// secret reads a secret: env("NAME"), or, as of any key, the text itself.
func (p *parser) secret(expr hclsyntax.Expression, label, env string) (value, bool) {
	call, ok := expr.(*hclsyntax.FunctionCallExpr)
	if !ok || call.Name != "env" {
		return p.value(expr, label, env)
	}
	at := p.at(expr.Range())
	const do = `write env("NAME") with the name of an environment variable`
	if len(call.Args) != 1 || call.ExpandFinal {
		p.fault(at, label+": env takes one name", do)
		return value{}, false
	}
	name, ok := p.value(call.Args[0], label, "")
	switch {
	case !ok:
		return value{}, false
	case name.Form != formString || !variableName.MatchString(name.Text):
		p.fault(name.Pos, fmt.Sprintf("%s: %s is no environment variable's name", label, name.got()), do)
		return value{}, false
	}
	text := p.variables(name.Text)
	if text == "" {
		p.fault(at, fmt.Sprintf("%s: the environment variable %s is not set", label, short(name.Text)), "set it where the host is started, or remove this key")
		return value{}, false
	}
	return value{Form: formString, Text: text, Pos: at, Origin: fromFile, Variable: name.Text}, true
}

// variableName matches what env may name.
var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)

func (p *parser) object(v value, e *hclsyntax.ObjectConsExpr, label, env string) (value, bool) {
	v.Form = formObject
	ok := true
	for _, item := range e.Items {
		at := p.at(item.KeyExpr.Range())
		name, named := memberName(item.KeyExpr)
		if !named {
			p.fault(at, label+": the name of an object's member is computed", plainValues)
			ok = false
			continue
		}
		if first := slices.IndexFunc(v.Members, func(m member) bool { return m.Name == name }); first >= 0 {
			p.fault(at, fmt.Sprintf("%s: %s is given twice", label, quote(name)),
				fmt.Sprintf("keep one of the two (the other is on line %d)", v.Members[first].Pos.Line))
			ok = false
			continue
		}
		mv, mok := p.value(item.ValueExpr, label, env)
		v.Members = append(v.Members, member{Name: name, Pos: at, Value: mv})
		ok = ok && mok
	}
	return v, ok
}

// memberName returns the name that stands before the equals sign in an object.
func memberName(expr hclsyntax.Expression) (string, bool) {
	if key, ok := expr.(*hclsyntax.ObjectConsKeyExpr); ok {
		if word := hcl.ExprAsKeyword(key); word != "" {
			return word, true
		}
		if key.ForceNonLiteral {
			return "", false
		}
		expr = key.Wrapped
	}
	t, ok := expr.(*hclsyntax.TemplateExpr)
	if !ok || !t.IsStringLiteral() && len(t.Parts) > 0 {
		return "", false
	}
	name, diags := t.Value(nil)
	if diags.HasErrors() || name.Type() != cty.String || !name.IsKnown() {
		return "", false
	}
	return name.AsString(), true
}

// literal reads a number, a bool or null.
func (p *parser) literal(v value, lit cty.Value, label string) (value, bool) {
	switch {
	case !lit.IsKnown(): // what the parser puts where it could not read: reported already
		return v, false
	case lit.IsNull():
		v.Form = formNull
	case lit.Type() == cty.Bool:
		v.Form, v.Text = formBool, fmt.Sprint(lit.True())
	case lit.Type() == cty.Number:
		text, ok := numberText(lit.AsBigFloat())
		if !ok {
			p.fault(v.Pos, label+": this number is out of range", "write one that a 64-bit floating-point number can hold")
			return v, false
		}
		v.Form, v.Text = formNumber, text
	case lit.Type() == cty.String:
		v.Form, v.Text = formString, lit.AsString()
	default:
		p.fault(v.Pos, label+": not a value", plainValues)
		return v, false
	}
	return v, true
}

// numberText returns f in decimal, as JSON takes it. It reports false for what
// a float64 can't hold: there, the text alone could fill the memory.
func numberText(f *big.Float) (string, bool) {
	if f.Sign() == 0 {
		return "0", true
	}
	if x, _ := f.Float64(); math.IsInf(x, 0) || x == 0 {
		return "", false
	}
	if f.IsInt() {
		return f.Text('f', 0), true
	}
	return f.Text('g', -1), true
}

// computed reports an expression that is not a plain value.
func (p *parser) computed(expr hclsyntax.Expression, label, env string) (value, bool) {
	at := p.at(expr.Range())
	what, do := label+": a calculation is not a value", plainValues
	switch e := expr.(type) {
	case *hclsyntax.ScopeTraversalExpr:
		name := traversalText(e.Traversal)
		what = fmt.Sprintf("%s: %s is a variable, and there are no variables here", label, name)
		switch {
		case len(e.Traversal) == 1:
			do = fmt.Sprintf("put text in quotes: %q", name)
		case env != "":
			do = fmt.Sprintf("write the value itself, or leave the key out and set %s in the environment", env)
		default:
			do = "write the value itself"
		}
	case *hclsyntax.FunctionCallExpr:
		what = fmt.Sprintf("%s: %s(…) is a function call, and there are no functions here", label, short(e.Name))
		do = "write the value itself"
		if e.Name == "env" {
			do = "write the value itself: env is for secrets"
		}
	case *hclsyntax.ExprSyntaxError:
		if !p.clean { // reported as a syntax error
			return value{}, false
		}
	case *hclsyntax.TemplateWrapExpr:
		return p.computed(e.Wrapped, label, env)
	}
	p.fault(at, what, do)
	return value{}, false
}

// traversalText returns the words of a variable, "env.HOME".
func traversalText(t hcl.Traversal) string {
	var words []string
	for _, step := range t {
		switch s := step.(type) {
		case hcl.TraverseRoot:
			words = append(words, s.Name)
		case hcl.TraverseAttr:
			words = append(words, s.Name)
		}
	}
	return short(strings.Join(words, "."))
}

func (p *parser) at(r hcl.Range) Pos { return p.text.at(r.Start) }

func (p *parser) fault(at Pos, what, do string) {
	p.problems = append(p.problems, Problem{Pos: at, What: what, Do: do})
}
