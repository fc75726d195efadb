// Prices: numbers by names that the owner chooses, and nothing else.

package config

import (
	"reflect"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/engine/price"
	"github.com/vishwaops/vishwa/reconciler/format/terraform"
)

func TestPricesAreNumbersByName(t *testing.T) {
	const head = "apiVersion: vishwa.dev/v1alpha1\nkind: Controller\nspec:\n  repositories: [{url: 'https://github.com/o/r'}]\n  prices:"
	c, err := Parse("c.yaml", []byte(head+" {gpu: {cpuHour: 0.05, memoryGiBHour: 0, gpuHour: {a100: 2, any: .5}}, local: {cpuHour: 1}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := price.Prices{Runners: map[string]price.Runner{"gpu": {CPUHour: 0.05, GPUHour: map[string]float64{"a100": 2, "any": 0.5}}, "local": {CPUHour: 1}}, Resources: terraform.Prices{}}
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

func TestPricesOfResourcesAreByType(t *testing.T) {
	const head = "apiVersion: vishwa.dev/v1alpha1\nkind: Controller\nspec:\n  repositories: [{url: 'https://github.com/o/r'}]\n  resourcePrices:"
	c, err := Parse("c.yaml", []byte(head+" {aws_instance: {by: instance_type, values: {t3.medium: 30, any: 90}}, aws_ebs_volume: {per: {size: 0.08}, times: a.b}, aws_iam_*: {}, aws_nat_gateway: {monthly: 33}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := terraform.Prices{
		"aws_instance": {By: "instance_type", Values: map[string]float64{"t3.medium": 30, "any": 90}}, "aws_ebs_volume": {Per: map[string]float64{"size": 0.08}, Times: "a.b"},
		"aws_iam_*": {}, "aws_nat_gateway": {Monthly: 33},
	}
	if got := c.Table().Resources; !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	for text, want := range map[string]string{
		" {aws_instance: {monthly: -1}}":    "cannot be a price",
		" {aws_instance: {monthly: 1e99}}":  "cannot be a price",
		" {aws_instance: {per: {size: x}}}": "is a string; give a number, without quotes",
		" {aws_instance: {month: 1}}":       "did you mean monthly?",
		" {aws_instance: {by: NAME}}":       "is not an attribute of a resource",
		" {aws_instance: {times: a..b}}":    "is not an attribute of a resource",
		" {aws_instance: {per: {1: 1}}}":    "is not an attribute of a resource",
		" {\"AWS instance\": {}}":           "cannot be a name here",
	} {
		if _, err := Parse("c.yaml", []byte(head+text+"\n")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
