// Prices: numbers by names that the owner chooses, and nothing else.

package config

import (
	"reflect"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/engine/plan"
)

func TestPricesAreNumbersByName(t *testing.T) {
	const head = "apiVersion: vishwa.dev/v1alpha1\nkind: Controller\nspec:\n  repositories: [{url: 'https://github.com/o/r'}]\n  prices:"
	c, err := Parse("c.yaml", []byte(head+" {gpu: {cpuHour: 0.05, memoryGiBHour: 0, gpuHour: {a100: 2, any: .5}}, local: {cpuHour: 1}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := plan.Prices{"gpu": {CPUHour: 0.05, GPUHour: map[string]float64{"a100": 2, "any": 0.5}}, "local": {CPUHour: 1}}
	if got := c.Table(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	for text, want := range map[string]string{
		" []":                                  "is a list; give a mapping",
		" {gpu: 1}":                            "is a number; give a mapping",
		" {gpu: {cpuHour: x}}":                 "is a string; give a number, without quotes",
		" {gpu: {cpuHour: -1}}":                "cannot be a price",
		" {gpu: {cpuHour: .nan}}":              "give a number",
		" {gpu: {cpuHour: .inf}}":              "give a number",
		" {gpu: {cpuHour: 1e99}}":              "cannot be a price",
		" {gpu: {cpuHours: 1}}":                "did you mean cpuHour?",
		" {gpu: {}, gpu: {}}":                  "is given twice",
		" {\"a b\\u0007\": {}}":                "cannot be a name here",
		" {gpu: {gpuHour: {\"\": 1}}}":         "cannot be a name here",
		" {gpu: {gpuHour: {a100: {hour: 1}}}}": "give a single value",
	} {
		if _, err := Parse("c.yaml", []byte(head+text+"\n")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
