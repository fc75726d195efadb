// The schemas of the files that are no declarations: trust.yaml and the controller's.

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/invopop/jsonschema"

	"github.com/vishwaops/vishwa/reconciler/controller/config"
	"github.com/vishwaops/vishwa/reconciler/engine/trust"
	"github.com/vishwaops/vishwa/schemas"
)

const (
	nameOf    = `^[a-z0-9]([-._a-z0-9]{0,61}[a-z0-9])?$`
	aDay      = `^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[-+][0-9]{2}:[0-9]{2}))?$`
	variable  = `^[A-Za-z_][A-Za-z0-9_]*$`
	attribute = `^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*){0,7}$`
	priced    = `^[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?$`
)

// more is what tags do not say of a field, by its path. Each path must be there.
var more = map[string]map[string]func(*jsonschema.Schema){
	"trust": {
		"apiVersion": constant(schemas.APIVersion), "kind": constant(trust.Kind),
		"principals": names(nameOf), "controllers": names(nameOf),
		"principals.*.emails[]": pattern(`^[^@ \t<>,;]+@[^@ \t<>,;]+$`), "principals.*.roles[]": pattern(nameOf),
		"principals.*.ssh[]":     pattern(`^\s*(ssh-|ecdsa-|sk-)[^\n]*\s*$`),
		"principals.*.validFrom": pattern(aDay), "principals.*.validUntil": pattern(aDay),
		"controllers.*.validFrom": pattern(aDay), "controllers.*.validUntil": pattern(aDay),
		"controllers.*.ssh":        pattern(`^\s*(ssh-|ecdsa-|sk-)[^\n]*\s*$`),
		"controllers.*.keys.build": pattern("BEGIN PUBLIC KEY"), "controllers.*.keys.deploy": pattern("BEGIN PUBLIC KEY"), "controllers.*.keys.refuse": pattern("BEGIN PUBLIC KEY"),
	},
	"controller": {
		"apiVersion": constant(schemas.APIVersion), "kind": constant(config.Kind), "": needs("apiVersion", "kind", "spec"),
		"spec.shutdown.runs": anyOf(config.Finish, config.HandBack), "spec.log.level": anyOf("debug", "info", "warn", "error"), "spec.log.format": anyOf("json", "text"),
		"spec.isolation.level": anyOf("best", "namespaces", "landlock", "none"),
		"spec.parallel":        most(1000), "spec.pulls": most(100), "spec.strangers": most(100),
		"spec.prices": names(priced), "spec.prices.*.gpuHour": names(priced), "spec.prices.*.cpuHour": least, "spec.prices.*.memoryGiBHour": least, "spec.prices.*.gpuHour.*": least,
		"spec.resourcePrices": names(`^[a-z][a-z0-9_]{0,126}\*?$`), "spec.resourcePrices.*.monthly": least, "spec.resourcePrices.*.values": names(priced), "spec.resourcePrices.*.values.*": least,
		"spec.resourcePrices.*.per": names(attribute), "spec.resourcePrices.*.per.*": least, "spec.resourcePrices.*.by": pattern(attribute), "spec.resourcePrices.*.times": pattern(attribute),
		"spec.repositories": func(s *jsonschema.Schema) { s.MinItems = &single }, "spec": needs("repositories"),
		"spec.repositories[]":            either("url", "path"),
		"spec.repositories[].pass[]":     pattern(variable),
		"spec.repositories[].packages[]": pattern(config.Packages),
		"spec.repositories[].trackers[]": pattern(config.Trackers),
		"spec.repositories[].runners[]":  pattern(config.Runners),
		"spec.repositories[].clusters[]": needs("namespaces"), "spec.repositories[].clusters[].namespaces[]": pattern(config.Namespace),
		"spec.repositories[].network":     anyOf("all", config.Declared),
		"spec.repositories[].variables[]": pattern(config.Variables), "spec.repositories[].tokens": names(config.Source), "spec.repositories[].tokens.*[]": pattern(config.Tokens),
		"spec.repositories[].storage[]":  pattern(config.Storage),
		"spec.repositories[].hosts[]":    pattern(schemas.Hosts),
		"spec.repositories[].github":     either("token", "app"),
		"spec.repositories[].github.app": needs("id", "installation", "key"),
	},
}

var single uint64 = 1

func names(p string) func(*jsonschema.Schema) {
	return func(s *jsonschema.Schema) { s.PropertyNames = &jsonschema.Schema{Pattern: p} }
}

func pattern(p string) func(*jsonschema.Schema) { return func(s *jsonschema.Schema) { s.Pattern = p } }

func constant(v any) func(*jsonschema.Schema) { return func(s *jsonschema.Schema) { s.Const = v } }

func anyOf(all ...any) func(*jsonschema.Schema) { return func(s *jsonschema.Schema) { s.Enum = all } }

func needs(all ...string) func(*jsonschema.Schema) {
	return func(s *jsonschema.Schema) { s.Required = all }
}

func most(n int) func(*jsonschema.Schema) {
	return func(s *jsonschema.Schema) { s.Maximum = number(n) }
}

// least is a price: none is below zero.
func least(s *jsonschema.Schema) { s.Minimum, s.Maximum = number(0), number(1_000_000_000) }

func either(all ...string) func(*jsonschema.Schema) {
	return func(s *jsonschema.Schema) {
		for _, name := range all {
			s.OneOf = append(s.OneOf, &jsonschema.Schema{Required: []string{name}})
		}
	}
}

func number(n int) json.Number { return json.Number(strconv.Itoa(n)) }

// outer is the schema of trust.yaml or of the controller's file; root is the
// repository's folder, for the comments.
func outer(name, root string) (*jsonschema.Schema, error) {
	r := &jsonschema.Reflector{Anonymous: true, DoNotReference: true, ExpandedStruct: true, RequiredFromJSONSchemaTags: true, Mapper: mapOuter}
	folder, of := "reconciler/engine/trust", reflect.TypeFor[trust.File]()
	if name == "controller" {
		r.FieldNameTag, folder, of = "yaml", "reconciler/controller/config", reflect.TypeFor[config.Document]()
	}
	back, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	if err := os.Chdir(filepath.Join(root, folder)); err != nil {
		return nil, err
	}
	defer func() { _ = os.Chdir(back) }()
	if err := r.AddGoComments("github.com/vishwaops/vishwa/"+folder, ".", jsonschema.WithFullComment()); err != nil {
		return nil, fmt.Errorf("read comments: %w", err)
	}
	s := r.ReflectFromType(of)
	s.Version, s.Title = "", map[string]string{"trust": "trust.yaml", "controller": "The controller's file"}[name]
	left := map[string]bool{}
	for path := range more[name] {
		left[path] = true
	}
	visit(s, "", func(path string, s *jsonschema.Schema) {
		s.Required = slices.DeleteFunc(s.Required, func(string) bool { return name == "controller" })
		switch {
		case s.Type == "string" && s.Pattern == "" && len(s.Enum) == 0:
			s.MinLength = &single
		case s.Type == "integer" && s.Minimum == "":
			s.Minimum = number(1)
		}
		if say := more[name][path]; say != nil {
			say(s)
			delete(left, path)
		}
	})
	if len(left) > 0 {
		return nil, fmt.Errorf("the schema of %s has no %v", name, left)
	}
	s.Version = jsonschema.Version
	return s, nil
}

// visit calls f for s and all below it, with its path.
func visit(s *jsonschema.Schema, path string, f func(string, *jsonschema.Schema)) {
	if s == nil || s == jsonschema.FalseSchema || s == jsonschema.TrueSchema {
		return
	}
	f(path, s)
	for p := s.Properties.Oldest(); p != nil; p = p.Next() {
		visit(p.Value, strings.TrimPrefix(path+"."+p.Key, "."), f)
	}
	visit(s.Items, path+"[]", f)
	if s.Properties.Len() == 0 {
		visit(s.AdditionalProperties, path+".*", f)
	}
}

// mapOuter gives the types of the controller's file that are strings in YAML.
func mapOuter(t reflect.Type) *jsonschema.Schema {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return &jsonschema.Schema{Type: "string", Pattern: schemas.DurationPattern, Description: "A duration, such as 90s, 15m, 2h or 3d."}
	case reflect.TypeFor[config.Secret]():
		places := jsonschema.NewProperties()
		places.Set("env", &jsonschema.Schema{Type: "string", Pattern: variable, Description: "Env is the variable that holds it."})
		places.Set("file", &jsonschema.Schema{Type: "string", Description: "File is the file that holds it."})
		return &jsonschema.Schema{
			Type: "object", Description: "Where a secret is: a variable or a file.", AdditionalProperties: jsonschema.FalseSchema,
			OneOf:      []*jsonschema.Schema{{Required: []string{"env"}}, {Required: []string{"file"}}},
			Properties: places,
		}
	}
	return nil
}
