package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"

	"sibyl/graph"
)

// repeat joins what f makes of 0 … n-1.
func repeat(n int, f func(i int) string) string {
	var all strings.Builder
	for i := range n {
		all.WriteString(f(i) + " ")
	}
	return all.String()
}

// nested is a document that is so deep.
func nested(depth int) string { return strings.Repeat("{a", depth) + strings.Repeat("}", depth) }

func TestDocumentLimits(t *testing.T) {
	limits := DefaultConfig().DocumentLimits
	field := func(i int) string { return fmt.Sprintf("a%d", i) }
	alias := func(i int) string { return fmt.Sprintf("a%d:x", i) }
	for name, row := range map[string]struct {
		document string
		code     graph.Code
	}{
		"small":           {"{a{b} c{b}}", ""},
		"deep":            {nested(limits.MaxDepth), ""},
		"too deep":        {nested(limits.MaxDepth + 1), graph.CodeDepthLimit},
		"inline fragment": {"{" + strings.Repeat("...{", 500) + "a" + strings.Repeat("}", 501), ""},
		"deep by fragments": {
			"{...F0} " + repeat(limits.MaxDepth, func(i int) string {
				return fmt.Sprintf("fragment F%d on Q{a{...F%d}}", i, i+1)
			}) + fmt.Sprintf("fragment F%d on Q{a}", limits.MaxDepth), graph.CodeDepthLimit,
		},
		"other operation too deep": {"query A{a} query B" + nested(limits.MaxDepth+1), graph.CodeDepthLimit},
		"many fields":              {"{a{" + repeat(4000, field) + "}}", ""},
		"aliases":                  {"{a{" + repeat(limits.MaxAliases, alias) + "}}", ""},
		"too many aliases":         {"{a{" + repeat(limits.MaxAliases+1, alias) + "}}", graph.CodeAliasLimit},
		"aliases by a fragment": {
			"{" + repeat(11, func(i int) string { return fmt.Sprintf("b%d{...F}", i) }) + "}fragment F on Q{" +
				repeat(limits.MaxAliases/10, alias) + "}", graph.CodeAliasLimit,
		},
		"a long alias":         {"{a{" + strings.Repeat("b", maxAliasBytes) + ":c}}", ""},
		"too long an alias":    {"{...{a{" + strings.Repeat("b", maxAliasBytes+1) + ":c}}}", graph.CodeAliasLimit},
		"a long field":         {"{" + strings.Repeat("b", maxAliasBytes+1) + "}", ""},
		"root fields":          {"{" + repeat(limits.MaxRootFields, field) + "}", ""},
		"a root field, often":  {"{" + strings.Repeat("a ", limits.MaxRootFields+1) + "}", ""},
		"too many root fields": {"{" + repeat(limits.MaxRootFields+1, field) + "}", graph.CodeRootFieldLimit},
		"root fields by a fragment": {
			"{...F ...G} fragment F on Q{b...{c}} fragment G on Q{" + repeat(limits.MaxRootFields-1, field) + "}",
			graph.CodeRootFieldLimit,
		},
		"directives":          {"{a" + strings.Repeat("@d", limits.MaxDirectives) + "}", ""},
		"too many directives": {"{a" + strings.Repeat("@d", limits.MaxDirectives+1) + "}", graph.CodeDirectiveLimit},
		"directives everywhere": {
			"query($v:I@d)@d{a@d...@d{b}...F@d" + strings.Repeat("@d", limits.MaxDirectives-5) + "}fragment F on Q@d{c}",
			graph.CodeDirectiveLimit,
		},
		"lists of a type": {"{__schema{types{fields{type{inputFields{name}}}}}}", ""},
		"too many lists of a type": {
			"{__type(name:\"Q\"){...F}} fragment F on Q{fields{type{...{interfaces{possibleTypes{name}}}}}}",
			graph.CodeIntrospectionLimit,
		},
		"other lists":      {"{fields{fields{fields{fields}}} __schema{types{name}}}", ""},
		"repeats":          {"{" + strings.Repeat("a ", maxRepeats+1) + "}", ""},
		"too many repeats": {"{" + strings.Repeat("a ", maxRepeats+2) + "}", graph.CodeComplexityLimit},
		"repeats below": {
			"{" + repeat(30, func(i int) string { return fmt.Sprintf("a%d:a{%s}", i, strings.Repeat("b ", 20)) }) + "}",
			graph.CodeComplexityLimit,
		},
		"repeats by a fragment": {
			"{" + strings.Repeat("...F ", maxRepeats) + "} fragment F on Q{a}", graph.CodeComplexityLimit,
		},
		"repeats in a fragment that nobody uses": {
			"{a} fragment F on Q{b} fragment F on Q{" + strings.Repeat("a ", maxRepeats+2) + "}", graph.CodeComplexityLimit,
		},
		"unknown fragments": {
			"{" + repeat(maxRepeats+1, func(i int) string { return fmt.Sprintf("...F%d", i) }) + "}", graph.CodeComplexityLimit,
		},
		"too many fragments": {
			"{a}" + repeat(maxFragments+1, func(i int) string { return fmt.Sprintf("fragment F%d on Q{a}", i) }),
			graph.CodeComplexityLimit,
		},
		"doubling": {
			"{...F0} " + repeat(80, func(i int) string {
				return fmt.Sprintf("fragment F%d on Q{b%d:a{...F%d} c%d:a{...F%d}}", i, i, i+1, i, i+1)
			}) + "fragment F80 on Q{a}", graph.CodeDepthLimit,
		},
		"doubling without depth": {
			"{...F0} " + repeat(80, func(i int) string {
				return fmt.Sprintf("fragment F%d on Q{...F%d ...on Q{...F%d}}", i, i+1, i+1)
			}) + "fragment F80 on Q{a}", graph.CodeComplexityLimit,
		},
		"operations that use a large fragment": {
			strings.Repeat("query{b{...F}}", 100) + "fragment F on Q{" + repeat(1000, alias) + "}", graph.CodeComplexityLimit,
		},
		"operations that use a small fragment": {
			strings.Repeat("query{...F}", 100) + "fragment F on Q{" + repeat(100, alias) + "}", "",
		},
		"cycle": {"{...F} fragment F on Q{a{...G}} fragment G on Q{...F}", ""},
	} {
		document, err := parser.ParseQuery(&ast.Source{Input: row.document})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var code graph.Code
		if err := limits.check(document); err != nil {
			code = graph.Code(err.Extensions["code"].(string))
		}
		if code != row.code {
			t.Errorf("%s: %q, want %q", name, code, row.code)
		}
	}
}

// TestMeasuringIsBounded: the guard must not itself be what a small document keeps busy.
func TestMeasuringIsBounded(t *testing.T) {
	limits := DefaultConfig().DocumentLimits
	large := "{" + repeat(6900, func(i int) string { return fmt.Sprintf("a%d", i) }) + "}"
	for name, text := range map[string]string{
		"one fragment, often": "{" + strings.Repeat("...F ", 3900) + "} fragment F on Q" + large,
		"fragments in a chain": "{...F0} " + repeat(maxFragments-1, func(i int) string {
			return fmt.Sprintf("fragment F%d on Q{...F%d}", i, i+1)
		}) + fmt.Sprintf("fragment F%d on Q", maxFragments-1) + large,
		"inline fragments": "{" + strings.Repeat("...{", 500) + large[1:] + strings.Repeat("}", 500),
		"operations":       strings.Repeat("{...F} ", 1500) + "fragment F on Q" + large,
		"fields of fragments": "{" + repeat(500, func(i int) string { return fmt.Sprintf("b%d{...F}", i) }) +
			"} fragment F on Q" + large,
	} {
		document, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: text}, limits.MaxTokens)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if limits.check(document) == nil {
			t.Errorf("%s was measured to its end", name)
		}
	}
}
