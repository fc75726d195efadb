// Strict reading of YAML into a Go value: a field that is unknown or of another
// type is a problem with its place and the name that was probably meant, and all
// problems are told at once.

package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
	"github.com/vishwaops/vishwa/schemas"
)

// Bounds on a configuration, far above what people write.
const (
	maxConfig   = 4 << 20 // bytes
	maxNodes    = 200_000 // each alias counted as all that it stands for
	maxDepth    = 20
	maxProblems = 50
)

// decoder fills a value from a YAML tree, and remembers where each field stands.
type decoder struct {
	file     string
	places   map[string]schemas.Position // dotted path -> where
	problems []schemas.Problem
	nodes    int
}

// problem is told of a field once.
func (d *decoder) problem(path string, format string, args ...any) {
	said := slices.ContainsFunc(d.problems, func(p schemas.Problem) bool { return p.Field == path })
	if !said && len(d.problems) < maxProblems {
		d.problems = append(d.problems, schemas.Problem{Pos: d.at(path), Field: path, Message: fmt.Sprintf(format, args...)})
	}
}

// at is where path stands, or the nearest of its parents that is there.
func (d *decoder) at(path string) schemas.Position {
	for {
		if p, ok := d.places[path]; ok {
			return p
		}
		if path == "" {
			return schemas.Position{File: d.file, Line: 1, Column: 1}
		}
		path = path[:max(0, strings.LastIndexByte(path, '.'))]
	}
}

// has tells whether the file itself sets path.
func (d *decoder) has(path string) bool {
	_, ok := d.places[path]
	return ok
}

func (d *decoder) value(n *yaml.Node, dst reflect.Value, path string, depth int) {
	if _, known := d.places[path]; !known {
		d.places[path] = schemas.Position{File: d.file, Line: n.Line, Column: n.Column}
	}
	if d.nodes++; d.nodes > maxNodes || depth > maxDepth {
		if d.nodes <= maxNodes+1 {
			d.problem(path, "there is more here than can be meant; write less, or without aliases")
		}
		return
	}
	if n.Kind == yaml.AliasNode {
		d.value(n.Alias, dst, path, depth+1)
		return
	}
	if n.ShortTag() == "!!null" {
		d.problem(path, "has no value; give it one, or remove the line")
		return
	}
	switch {
	case dst.Kind() == reflect.Pointer:
		dst.Set(reflect.New(dst.Type().Elem()))
		d.value(n, dst.Elem(), path, depth)
	case dst.Kind() == reflect.Struct:
		d.structure(n, dst, path, depth)
	case dst.Kind() == reflect.Slice:
		d.list(n, dst, path, depth)
	case dst.Kind() == reflect.Map:
		d.mapping(n, dst, path, depth)
	default:
		d.scalar(n, dst, path)
	}
}

func (d *decoder) structure(n *yaml.Node, dst reflect.Value, path string, depth int) {
	if n.Kind != yaml.MappingNode {
		d.problem(path, "is %s; give a mapping", article(n))
		return
	}
	fields := map[string]int{}
	for i := range dst.NumField() {
		if name := dst.Type().Field(i).Tag.Get("yaml"); name != "" {
			fields[name] = i
		}
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		at := join(path, key.Value)
		again := seen[key.Value]
		seen[key.Value] = true
		if !again {
			d.places[at] = schemas.Position{File: d.file, Line: key.Line, Column: key.Column}
		}
		index, known := fields[key.Value]
		switch {
		case again:
			d.problem(at, "is given twice; remove one")
		case !known:
			var free []string
			for name := range fields {
				if !seen[name] {
					free = append(free, name)
				}
			}
			d.problem(at, "unknown field%s", meant(key.Value, free))
		default:
			d.value(val, dst.Field(index), at, depth+1)
		}
	}
}

func (d *decoder) list(n *yaml.Node, dst reflect.Value, path string, depth int) {
	if n.Kind != yaml.SequenceNode {
		d.problem(path, "is %s; give a list, such as [a, b]", article(n))
		return
	}
	out := reflect.MakeSlice(dst.Type(), len(n.Content), len(n.Content))
	for i, c := range n.Content {
		d.value(c, out.Index(i), join(path, strconv.Itoa(i)), depth+1)
	}
	dst.Set(out)
}

// mapping reads names that the file's owner chooses.
func (d *decoder) mapping(n *yaml.Node, dst reflect.Value, path string, depth int) {
	if n.Kind != yaml.MappingNode {
		d.problem(path, "is %s; give a mapping", article(n))
		return
	}
	out := reflect.MakeMap(dst.Type())
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		at := join(path, key.Value)
		switch {
		case dst.Type().Elem() == reflect.TypeFor[ResourcePrice]():
			if !typeName.MatchString(key.Value) {
				d.problem(path, "%s cannot be a name here; use a type of Terraform's resources, such as aws_instance, or how types begin, such as aws_iam_*", Quoted(key.Value))
				continue
			}
		case !mapName.MatchString(key.Value):
			d.problem(path, "%s cannot be a name here; use letters, digits, hyphens, underscores and dots, at most 63", Quoted(key.Value))
			continue
		}
		if out.MapIndex(reflect.ValueOf(key.Value)).IsValid() {
			d.problem(at, "is given twice; remove one")
			continue
		}
		d.places[at] = schemas.Position{File: d.file, Line: key.Line, Column: key.Column}
		e := reflect.New(dst.Type().Elem()).Elem()
		d.value(val, e, at, depth+1)
		out.SetMapIndex(reflect.ValueOf(key.Value), e)
	}
	dst.Set(out)
}

// typeName is a type of resources, or the beginning of some.
var typeName = lazyregexp.New(`^[a-z][a-z0-9_]{0,126}\*?$`)

// mapName is what a name in a mapping looks like.
var mapName = lazyregexp.New(`^[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?$`)

func (d *decoder) scalar(n *yaml.Node, dst reflect.Value, path string) {
	if n.Kind != yaml.ScalarNode {
		d.problem(path, "is %s; give a single value", article(n))
		return
	}
	tag := n.ShortTag()
	switch {
	case dst.Type() == reflect.TypeFor[time.Duration]():
		v, err := schemas.ParseDuration(n.Value)
		if err != nil {
			d.problem(path, "%s is not a duration; write one such as 90s, 15m, 2h or 3d", Quoted(n.Value))
			return
		}
		if v <= 0 {
			d.problem(path, "%s is too short; give a duration above zero, or remove the line to have the default", Quoted(n.Value))
			return
		}
		dst.SetInt(int64(v))
	case dst.Kind() == reflect.String:
		if tag != "!!str" && tag != "!!timestamp" {
			d.problem(path, "is %s, but a string is wanted; put it in quotes", article(n))
			return
		}
		if n.Value == "" {
			d.problem(path, "is empty; give it a value, or remove the line")
		}
		dst.SetString(n.Value)
	case dst.Kind() == reflect.Bool:
		v, err := strconv.ParseBool(n.Value)
		if tag != "!!bool" || err != nil {
			d.problem(path, "is %s; write true or false", article(n))
			return
		}
		dst.SetBool(v)
	case dst.Kind() == reflect.Float64:
		v, err := strconv.ParseFloat(n.Value, 64)
		if tag != "!!int" && tag != "!!float" || err != nil {
			d.problem(path, "is %s; give a number, without quotes", article(n))
			return
		}
		if !(v >= 0 && v <= 1e9) { // nor what is not a number
			d.problem(path, "cannot be a price; give a number from 0 to 1000000000")
			return
		}
		dst.SetFloat(v)
	default:
		v, err := strconv.ParseInt(n.Value, 10, 64)
		if tag != "!!int" || err != nil || dst.OverflowInt(v) {
			d.problem(path, "is %s; give a whole number, without quotes", article(n))
			return
		}
		if v < 1 {
			d.problem(path, "%d is too small; give at least 1", v)
		}
		dst.SetInt(v)
	}
}

// article names what a node is, never its value, which may be a secret put in the wrong place.
func article(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "a boolean"
	default:
		return "a string"
	}
}

// meant ends a message with the nearest of names, or with them all.
func meant(name string, names []string) string {
	if n := schemas.Nearest(name, names); n != "" {
		return "; did you mean " + n + "?"
	}
	if len(names) == 0 {
		return "; remove it"
	}
	slices.Sort(names)
	return "; choose one of " + strings.Join(names, ", ")
}

// Quoted is text as a message repeats it: on one line, and not all of it.
func Quoted(s string) string {
	if len(s) > 60 {
		return strconv.Quote(s[:60]) + "..."
	}
	return strconv.Quote(s)
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
