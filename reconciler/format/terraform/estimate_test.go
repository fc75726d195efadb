// Laws of estimates: what a price says of a plan is summed, and what it does not say is named.

package terraform

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
)

var table = Prices{
	"aws_instance":   {By: "instance_type", Values: map[string]float64{"t3.medium": 30, "p4d.24xlarge": 24000}},
	"aws_ebs_volume": {Per: map[string]float64{"size": 0.08, "iops": 0.005}},
	"aws_eks_node_group": {
		By: "instance_types", Values: map[string]float64{AnyValue: 100}, Times: "scaling_config.desired_size",
	},
	"aws_spot_group":  {By: "instance_types", Values: map[string]float64{"m5.large": 70}},
	"aws_nat_gateway": {Monthly: 33},
	"aws_iam_*":       {},
	"aws_*":           {Monthly: 1},
}

func TestAnEstimateIsOfWhatIsThereThen(t *testing.T) {
	for name, c := range map[string]struct {
		kind, change string
		want         Estimate
	}{
		"made":                       {"aws_instance", `{"after": {"instance_type": "t3.medium"}}`, Estimate{30, 30, nil}},
		"kept":                       {"aws_instance", `{"before": {"instance_type": "t3.medium"}, "after": {"instance_type": "t3.medium"}}`, Estimate{30, 0, nil}},
		"larger":                     {"aws_instance", `{"before": {"instance_type": "t3.medium"}, "after": {"instance_type": "p4d.24xlarge"}}`, Estimate{24000, 23970, nil}},
		"destroyed":                  {"aws_nat_gateway", `{"before": {"id": "x"}, "after": null}`, Estimate{0, -33, nil}},
		"for each that it counts":    {"aws_ebs_volume", `{"after": {"size": 100, "iops": "3000"}}`, Estimate{23, 23, nil}},
		"so many times":              {"aws_eks_node_group", `{"after": {"scaling_config": [{"desired_size": 3}]}}`, Estimate{300, 300, nil}},
		"one value of a list":        {"aws_spot_group", `{"after": {"instance_types": ["m5.large"]}}`, Estimate{70, 70, nil}},
		"several values of a list":   {"aws_spot_group", `{"after": {"instance_types": ["m5.large", "m5.xlarge"]}}`, Estimate{0, 0, []string{"x.y"}}},
		"a list that is known later": {"aws_spot_group", `{"after": {"instance_types": ["m5.large"]}, "after_unknown": {"instance_types": [true]}}`, Estimate{0, 0, []string{"x.y"}}},
		"free":                       {"aws_iam_role", `{"after": {"name": "x"}}`, Estimate{}},
		"by how it begins":           {"aws_x", `{"after": {}}`, Estimate{1, 1, nil}},
		"of a type without a price":  {"google_x", `{"after": {}}`, Estimate{0, 0, []string{"x.y"}}},
		"of a value without a price": {"aws_instance", `{"after": {"instance_type": "m5.large"}}`, Estimate{0, 0, []string{"x.y"}}},
		"known later":                {"aws_ebs_volume", `{"after": {"size": 1, "iops": null}, "after_unknown": {"iops": true}}`, Estimate{0, 0, []string{"x.y"}}},
		"a block that is known later": {"aws_eks_node_group", `{"after": {"scaling_config": [{"desired_size": 1}]}, "after_unknown": {"scaling_config": [{"desired_size": true}]}}`,
			Estimate{0, 0, []string{"x.y"}}},
		"sensitive":                  {"aws_ebs_volume", `{"after": {"size": 41, "iops": 1}, "after_sensitive": {"size": true}}`, Estimate{0, 0, []string{"x.y"}}},
		"sensitive as it was":        {"aws_ebs_volume", `{"before": {"size": 41, "iops": 1}, "before_sensitive": {"size": true}, "after": {"size": 1, "iops": 1}, "after_sensitive": {}}`, Estimate{0, 0, []string{"x.y"}}},
		"sensitive as a whole":       {"aws_instance", `{"after": {"instance_type": "t3.medium"}, "after_sensitive": true}`, Estimate{0, 0, []string{"x.y"}}},
		"a block that is sensitive":  {"aws_eks_node_group", `{"after": {"scaling_config": [{"desired_size": 1}]}, "after_sensitive": {"scaling_config": true}}`, Estimate{0, 0, []string{"x.y"}}},
		"beside something sensitive": {"aws_instance", `{"after": {"instance_type": "t3.medium", "user_data": "x"}, "after_sensitive": {"user_data": true, "tags": {}}}`, Estimate{30, 30, nil}},
		"below zero":                 {"aws_ebs_volume", `{"after": {"size": -1e6, "iops": 1}}`, Estimate{0, 0, []string{"x.y"}}},
		"beyond measure":             {"aws_ebs_volume", `{"after": {"size": 1e300, "iops": 1}}`, Estimate{0, 0, []string{"x.y"}}},
		"no number":                  {"aws_ebs_volume", `{"after": {"size": "NaN", "iops": 1}}`, Estimate{0, 0, []string{"x.y"}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Estimated(fmt.Appendf(nil, `{"resource_changes": [{"address": "x.y", "mode": "managed", "type": %q, "change": %s}, {"address": "data.x.y", "mode": "data", "type": "google_x"}]}`, c.kind, c.change), table)
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("%+v, %v, want %+v", got, err, c.want)
			}
		})
	}
	if _, err := Estimated([]byte("s3cret"), table); err == nil || err.Error() != "the plan cannot be read" {
		t.Error(err)
	}
}

func FuzzEstimated(f *testing.F) {
	f.Add([]byte(`{"resource_changes": [{"address": "x.y", "type": "aws_ebs_volume", "change": {"after": {"size": 1, "iops": 2}}}]}`))
	f.Fuzz(func(t *testing.T, plan []byte) {
		got, err := Estimated(plan, table)
		if _, bad := json.Marshal(got); err == nil && bad != nil {
			t.Errorf("%+v cannot be written: %v", got, bad)
		}
	})
}
