package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

func (g *generator) operations(b *strings.Builder) error {
	md := g.Metadata
	protocol := map[string]string{"query": "wire.Query", "json": "wire.JSON"}[md.Protocol]
	if protocol == "" || md.JSONVersion != "" && md.JSONVersion != "1.1" {
		return fmt.Errorf("protocol %s %s is not spoken here", md.Protocol, md.JSONVersion)
	}
	fmt.Fprintf(b, "\n// API is what all operations have in common.\nvar API = &wire.API{\nName: %q,\nTitle: %q,\nVersion: %q,\nProtocol: %s,\n",
		g.service, md.ServiceFullName, md.APIVersion, protocol)
	if md.XMLNamespace != "" {
		fmt.Fprintf(b, "Namespace: %q,\n", md.XMLNamespace)
	}
	if md.TargetPrefix != "" {
		fmt.Fprintf(b, "TargetPrefix: %q,\n", md.TargetPrefix)
	}
	b.WriteString("}\n\n// The operations, each with its request, its answer and the faults it declares.\nvar (\n")
	for _, name := range g.ops {
		op := g.Operations.by[name]
		if op.Name != name || op.HTTP.Method != "POST" || op.HTTP.RequestURI != "/" {
			return fmt.Errorf("%s: is called %s, %s %s", name, op.Name, op.HTTP.Method, op.HTTP.RequestURI)
		}
		wrapper := ""
		if op.Output != nil {
			wrapper = op.Output.ResultWrapper
		}
		fmt.Fprintf(b, "Op%s = wire.NewOp[%sInput, %sOutput](API, %q, %q", name, name, name, name, wrapper)
		for _, f := range op.Errors {
			if !slices.Contains(g.faultOf, f.Shape) {
				return fmt.Errorf("%s: %s is no exception", name, f.Shape)
			}
			b.WriteString(",\n" + f.Shape)
		}
		b.WriteString(")\n")
	}
	b.WriteString(")\n\n// Service is the operation table and the fault table.\nvar Service = wire.NewService(API, []*wire.Operation{\n")
	for _, name := range g.ops {
		fmt.Fprintf(b, "Op%s.Operation,\n", name)
	}
	b.WriteString("}, []*wire.Fault{\n")
	for _, name := range g.faultOf {
		fmt.Fprintf(b, "%s,\n", name)
	}
	b.WriteString("})\n")
	return nil
}

// faults without a status in the model are the client's: AWS answers 400 for them.
func (g *generator) faults(b *strings.Builder) error {
	b.WriteString("\n// The faults of the API.\nvar (\n")
	for _, name := range g.faultOf {
		code, status, sender := name, 400, true
		if e := g.Shapes.by[name].Error; e != nil {
			code, status, sender = e.Code, e.Status, e.Sender
		}
		fmt.Fprintf(b, "%s = &wire.Fault{Shape: %q, Code: %q, Status: %d, Sender: %v}\n", name, name, code, status, sender)
	}
	b.WriteString(")\n")
	return nil
}

func (g *generator) enums(b *strings.Builder) error {
	taken := map[string]bool{}
	for _, name := range g.enumSet {
		values := g.Shapes.by[name].Enum
		fmt.Fprintf(b, "\n// %s is an enum of the API.\ntype %s string\n\n// The values of %s.\nconst (\n", name, name, name)
		for _, v := range values {
			constant := name + camel(v)
			if taken[constant] {
				return fmt.Errorf("two constants would be called %s", constant)
			}
			taken[constant] = true
			fmt.Fprintf(b, "%s %s = %q\n", constant, name, v)
		}
		quoted := make([]string, len(values))
		for i, v := range values {
			quoted[i] = strconv.Quote(v)
		}
		fmt.Fprintf(b, ")\n\n// Values lists all values of %s.\nfunc (%s) Values() []string {\nreturn []string{%s}\n}\n", name, name, strings.Join(quoted, ", "))
	}
	return nil
}

func camel(value string) string {
	words := strings.FieldsFunc(value, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	for i, w := range words {
		words[i] = strings.ToUpper(w[:1]) + w[1:]
	}
	return strings.Join(words, "")
}

func (g *generator) shapes(b *strings.Builder) error {
	for _, name := range g.nested {
		comment := "is part of requests and answers"
		if users := g.users[name]; len(users) > 0 {
			comment = "is the answer of " + strings.Join(users, ", ")
		}
		if err := g.structure(b, name, comment); err != nil {
			return err
		}
	}
	return nil
}

func (g *generator) requests(b *strings.Builder) error {
	for _, name := range g.ops {
		op := g.Operations.by[name]
		if err := g.structure(b, op.Input.Shape, "is the request of "+name); err != nil {
			return err
		}
		switch out := name + "Output"; {
		case op.Output == nil:
			fmt.Fprintf(b, "\n// %s is empty: %s answers nothing.\ntype %s struct{}\n", out, name, out)
		case g.goNames[op.Output.Shape] != out:
			fmt.Fprintf(b, "\n// %s is the answer of %s.\ntype %s = %s\n", out, name, out, g.goNames[op.Output.Shape])
		default:
			if err := g.structure(b, op.Output.Shape, "is the answer of "+name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (g *generator) structure(b *strings.Builder, shape, comment string) error {
	s := g.Shapes.by[shape]
	fmt.Fprintf(b, "\n// %s %s.\ntype %s struct {\n", g.goNames[shape], comment, g.goNames[shape])
	for _, name := range s.Members.names {
		if !unicode.IsUpper(rune(name[0])) {
			return fmt.Errorf("%s.%s is not an exported name", shape, name)
		}
		typ, tag, err := g.field(name, s.Members.by[name])
		if err != nil {
			return fmt.Errorf("%s.%s: %w", shape, name, err)
		}
		fmt.Fprintf(b, "%s %s %s\n", name, typ, tag)
	}
	b.WriteString("}\n")
	return nil
}

func (g *generator) field(name string, f *member) (typ, tag string, err error) {
	s := g.Shapes.by[f.Shape]
	own := limits{Min: s.Min, Max: s.Max, Pattern: s.Pattern}
	if f.limits != nil {
		own = *f.limits
	}
	words, patterns := name, ""
	if f.required {
		words += ",required"
	}
	if f.emptyAbsent {
		words += ",emptyabsent"
	}
	if s.Type == "list" {
		e := g.Shapes.by[s.Member.Shape]
		if typ, err = g.goType(s.Member.Shape, f.secret); err != nil {
			return "", "", err
		}
		typ = "[]" + typ
		if item := s.Member.LocationName; item != "" {
			words += ",item=" + item
		}
		words += bounds("e", e.Min, e.Max)
		if e.Pattern != "" {
			patterns = " epattern:" + strconv.Quote(e.Pattern)
		}
		if s.LocationName != "" && s.LocationName != name && f.also != s.LocationName {
			return "", "", fmt.Errorf("the list calls itself %s: the overlay must say so under also", s.LocationName)
		}
	} else {
		if typ, err = g.goType(f.Shape, f.secret); err != nil {
			return "", "", err
		}
		typ = "*" + typ
	}
	words += bounds("", own.Min, own.Max)
	if f.also != "" {
		words += ",also=" + f.also
	}
	if own.Pattern != "" {
		patterns = " pattern:" + strconv.Quote(own.Pattern) + patterns
	}
	tag = "wire:" + strconv.Quote(words) + patterns
	if strings.Contains(tag, "`") {
		return "", "", fmt.Errorf("a pattern with a backquote")
	}
	return typ, "`" + tag + "`", nil
}

func bounds(prefix string, low, high *int64) string {
	s := ""
	if low != nil {
		s += fmt.Sprintf(",%smin=%d", prefix, *low)
	}
	if high != nil {
		s += fmt.Sprintf(",%smax=%d", prefix, *high)
	}
	return s
}

func (g *generator) goType(shape string, secret bool) (string, error) {
	s := g.Shapes.by[shape]
	switch {
	case secret && (s.Type != "string" || s.Enum != nil):
		return "", fmt.Errorf("%s cannot be secret", shape)
	case secret:
		return "wire.Secret", nil
	case s.Enum != nil:
		return shape, nil
	}
	switch s.Type {
	case "structure":
		return g.goNames[shape], nil
	case "string":
		return "string", nil
	case "boolean":
		return "bool", nil
	case "integer":
		return "int32", nil
	case "double":
		return "float64", nil
	case "timestamp":
		return "time.Time", nil
	}
	return "", fmt.Errorf("no Go type for %s %s", s.Type, shape)
}
