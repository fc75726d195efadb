// Laws of the report: what AWS lets an identity read is listed, what it does not is not, and what cannot be judged is said.

package access

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/schemas"
)

// state is a plan's state with these resources.
func state(t *testing.T, all ...resource) []byte {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"prior_state": map[string]any{"values": map[string]any{"root_module": map[string]any{
		"resources": all[:1], "child_modules": []any{map[string]any{"resources": all[1:]}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func role(values ...string) resource {
	r := resource{Address: "aws_iam_role.r", Mode: "managed", Type: "aws_iam_role", Values: map[string]any{"name": "r", "arn": "arn:aws:iam::123456789012:role/r"}}
	for i := 0; i < len(values); i += 2 {
		r.Values[values[i]] = values[i+1]
	}
	return r
}

func policy(statements string) resource {
	return resource{Address: "aws_iam_role_policy.p", Mode: "managed", Type: "aws_iam_role_policy", Values: map[string]any{"role": "r", "policy": `{"Statement": ` + statements + `}`}}
}

var students = Object{Ref: schemas.Ref{Kind: "dataset", Name: "students"}, At: []string{"data/students/*"}}

func readers(t *testing.T, of Object, all ...resource) ([]string, Report) {
	t.Helper()
	var w World
	if err := w.Add("", state(t, all...)); err != nil {
		t.Fatal(err)
	}
	report := w.Report([]Object{of})
	var out []string
	for _, r := range report.Objects[0].Readers {
		out = append(out, fmt.Sprintf("%s %s %s", r.Identity[strings.LastIndex(r.Identity, "/")+1:], r.Part, strings.Join(r.Conditions, " ")))
	}
	return out, report
}

func TestWhoReadsWhat(t *testing.T) {
	const allow = `{"Effect": "Allow", "Action": `
	for name, c := range map[string]struct {
		policy string
		want   []string
	}{
		"all of it":                {allow + `"s3:GetObject", "Resource": "arn:aws:s3:::data/students/*"}`, []string{"r all "}},
		"more than it":             {`[` + allow + `["s3:Get*"], "Resource": ["arn:aws:s3:::data/*"]}]`, []string{"r all "}},
		"everything":               {allow + `"*", "Resource": "*"}`, []string{"r all "}},
		"a part":                   {allow + `"s3:GetObject", "Resource": "arn:aws:s3:::data/students/2024/*"}`, []string{"r some "}},
		"a part in its middle":     {allow + `"s3:GetObject", "Resource": "arn:aws:s3:::data/*.csv"}`, []string{"r some "}},
		"its own part":             {allow + `"s3:GetObject", "Resource": "arn:aws:s3:::data/students/${aws:username}*"}`, []string{"r some "}},
		"under a condition":        {allow + `"s3:GetObject", "Resource": "arn:aws:s3:::data/*", "Condition": {"Bool": {"aws:SecureTransport": "true"}}}`, []string{"r some aws:SecureTransport"}},
		"other data":               {allow + `"s3:GetObject", "Resource": "arn:aws:s3:::data/grades/*"}`, nil},
		"another bucket":           {allow + `"s3:GetObject", "Resource": "arn:aws:s3:::database/students/*"}`, nil},
		"writes":                   {allow + `["s3:PutObject", "s3:ListBucket"], "Resource": "arn:aws:s3:::data*"}`, nil},
		"denied":                   {`[` + allow + `"s3:*", "Resource": "*"}, {"Effect": "Deny", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::data/*"}]`, nil},
		"denied in part":           {`[` + allow + `"s3:*", "Resource": "*"}, {"Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::data/students/secret/*"}]`, []string{"r some "}},
		"denied under a condition": {`[` + allow + `"s3:*", "Resource": "*"}, {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"Bool": {"x": "false"}}}]`, []string{"r some "}},
		"all actions but":          {`{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}`, []string{"r all "}},
		"all but it":               {`{"Effect": "Allow", "Action": "s3:*", "NotResource": "arn:aws:s3:::data/students/*"}`, nil},
		"all but a part":           {`{"Effect": "Allow", "Action": "s3:*", "NotResource": "arn:aws:s3:::data/students/secret*"}`, []string{"r some "}},
	} {
		t.Run(name, func(t *testing.T) {
			if got, _ := readers(t, students, role(), policy(c.policy)); !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestABoundaryBoundsAndABucketLetsIn(t *testing.T) {
	all := policy(`{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}`)
	boundary := resource{Address: "aws_iam_policy.b", Mode: "managed", Type: "aws_iam_policy", Values: map[string]any{
		"arn": "arn:aws:iam::123456789012:policy/b", "policy": `{"Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::models/*"}}`}}
	bounded := role("permissions_boundary", "arn:aws:iam::123456789012:policy/b")
	if got, _ := readers(t, students, bounded, all, boundary); got != nil {
		t.Errorf("beyond its boundary: %q", got)
	}
	got, report := readers(t, students, bounded, all)
	if want := []string{"aws_iam_role.r: its boundary arn:aws:iam::123456789012:policy/b is in no state, and was taken to allow all"}; !slices.Equal(got, []string{"r all "}) || !reflect.DeepEqual(report.Unknown, want) {
		t.Errorf("a boundary that is not known: %q, %q", got, report.Unknown)
	}
	in := `"Action": "s3:GetObject", "Resource": "arn:aws:s3:::data/*"}`
	for statement, want := range map[string][]string{
		`{"Effect": "Allow", "Principal": "*", ` + in:                                                                        {"* all ", "r all "},
		`{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::999999999999:role/other"}, ` + in:                            {"other all "},
		`{"Effect": "Allow", "Principal": {"AWS": ["123456789012"]}, ` + in:                                                  {"123456789012 all ", "r all "},
		`{"Effect": "Deny", "Principal": "*", ` + in:                                                                         nil,
		`{"Effect": "Allow", "Principal": {"AWS": "*"}, "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}, ` + in: {"* some aws:PrincipalOrgID", "r some aws:PrincipalOrgID"},
	} {
		if got, _ := readers(t, students, role(), bucket(statement)); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", statement, got, want)
		}
	}
}

func TestWhatIsNotJudgedIsSaid(t *testing.T) {
	attached := resource{Address: "aws_iam_role_policy_attachment.a", Mode: "managed", Type: "aws_iam_role_policy_attachment", Values: map[string]any{"role": "r", "policy_arn": "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"}}
	broken := policy(`"s3cret"`)
	_, report := readers(t, students, role(), attached, broken)
	want := []string{"aws_iam_role_policy.p: its policy cannot be read", "aws_iam_role_policy_attachment.a: attaches arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess, whose text is in no state"}
	if !reflect.DeepEqual(report.Unknown, want) {
		t.Errorf("%q", report.Unknown)
	}
	var w World
	if err := w.Add("", []byte("s3cret")); err == nil || err.Error() != "the state cannot be read" {
		t.Error(err)
	}
}

const (
	readAll = `{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::data/*"}`
	denyAll = `{"Effect": "Deny", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::data/*"}`
)

func bucket(statement string) resource {
	return resource{Address: "aws_s3_bucket_policy.d", Mode: "managed", Type: "aws_s3_bucket_policy", Values: map[string]any{"bucket": "data", "policy": `{"Statement": [` + statement + `]}`}}
}

func TestTwoStacksOfOneModuleKeepTheirPoliciesApart(t *testing.T) {
	var w World
	for stack, of := range map[string]struct{ account, policy string }{"s/staging": {"111111111111", readAll}, "s/production": {"222222222222", denyAll}} {
		if err := w.Add(stack, state(t, role("arn", "arn:aws:iam::"+of.account+":role/r"), policy(of.policy))); err != nil {
			t.Fatal(err)
		}
	}
	report := w.Report([]Object{students})
	want := []Reader{{Identity: "arn:aws:iam::111111111111:role/r", Address: "s/staging aws_iam_role.r", Part: All, By: []string{"s/staging aws_iam_role_policy.p"}}}
	if got := report.Objects[0].Readers; !reflect.DeepEqual(got, want) || report.Unknown != nil {
		t.Errorf("%+v, %q", got, report.Unknown)
	}
}

func TestAPolicyIsForTheIdentityThatItIsAttachedTo(t *testing.T) {
	user := func(values ...string) resource {
		u := role(append([]string{"arn", "arn:aws:iam::123456789012:user/r"}, values...)...)
		u.Address, u.Type = "aws_iam_user.r", "aws_iam_user"
		return u
	}
	all := policy(readAll)
	all.Address, all.Values = "aws_iam_role_policy.all", map[string]any{"role": "r", "policy": all.Values["policy"]}
	denied := policy(denyAll)
	denied.Address, denied.Type, denied.Values = "aws_iam_user_policy.no", "aws_iam_user_policy", map[string]any{"user": "r", "policy": denied.Values["policy"]}
	if got, _ := readers(t, students, role(), user(), all, denied); !slices.Equal(got, []string{"r all "}) {
		t.Errorf("a user of the role's name: %q", got)
	}

	managed := resource{Address: "aws_iam_policy.m", Mode: "managed", Type: "aws_iam_policy", Values: map[string]any{"arn": "arn:aws:iam::999999999999:policy/m", "policy": `{"Statement": ` + readAll + `}`}}
	attached := resource{Address: "aws_iam_role_policy_attachment.a", Mode: "managed", Type: "aws_iam_role_policy_attachment", Values: map[string]any{"role": "r", "policy_arn": "arn:aws:iam::999999999999:policy/m"}}
	other := role("arn", "arn:aws:iam::999999999999:role/r")
	_, report := readers(t, students, role(), other, managed, attached)
	if got := report.Objects[0].Readers; len(got) != 1 || got[0].Identity != "arn:aws:iam::999999999999:role/r" {
		t.Errorf("a role of the name in another account: %+v", got)
	}

	// Which of two is meant cannot be told: none is left out, and it is said.
	got, report := readers(t, students, role(), other, all, policy(denyAll))
	if !slices.Equal(got, []string{"r some ", "r some "}) || len(report.Unknown) != 2 || !strings.Contains(report.Unknown[0], "one of several of the name r") {
		t.Errorf("%q, %q", got, report.Unknown)
	}

	// Nor one that is made elsewhere.
	got, report = readers(t, students, all)
	if want := []string{"role r: is in no state, and was taken for one without a boundary and without policies but those of aws_iam_role_policy.all"}; !slices.Equal(got, []string{"role r all "}) || !reflect.DeepEqual(report.Unknown, want) {
		t.Errorf("%q, %q", got, report.Unknown)
	}
}

func TestWhomADenialSparesCanRead(t *testing.T) {
	all := policy(readAll)
	but := func(who string) resource {
		return bucket(`{"Effect": "Deny", "NotPrincipal": {"AWS": ` + who + `}, "Action": "s3:*", "Resource": "arn:aws:s3:::data/*"}`)
	}
	const self, stranger = "arn:aws:iam::123456789012:role/r", "arn:aws:iam::999999999999:role/s"
	for who, want := range map[string][]string{
		`"` + self + `"`:                               {"r all "},
		`["` + self + `", "123456789012"]`:             {"r all "},
		`"arn:aws:iam::123456789012:root"`:             {"r some "},
		`"arn:aws:sts::123456789012:assumed-role/r/s"`: {"r some "},
		`"arn:aws:iam::123456789012:role/other"`:       nil,
	} {
		if got, _ := readers(t, students, role(), all, but(who)); !slices.Equal(got, want) {
			t.Errorf("a denial of all but %s: %q, want %q", who, got, want)
		}
	}
	got, report := readers(t, students, role(), all, but(`"`+stranger+`"`))
	if want := []string{"aws_s3_bucket_policy.d: does not deny " + stranger + ", whose own policies are in no state"}; got != nil || !reflect.DeepEqual(report.Unknown, want) {
		t.Errorf("one that no state has: %q, %q", got, report.Unknown)
	}
	let := bucket(`{"Effect": "Allow", "NotPrincipal": {"AWS": "` + stranger + `"}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::data/*"}`)
	if got, _ := readers(t, students, role(), let); !slices.Equal(got, []string{"* all ", "r all "}) {
		t.Errorf("all but one are let in: %q", got)
	}
	open := bucket(`{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::data/*"}, ` +
		`{"Effect": "Deny", "NotPrincipal": {"AWS": "` + stranger + `"}, "Action": "s3:*", "Resource": "arn:aws:s3:::data/*"}`)
	if got, _ := readers(t, students, role(), open); !slices.Equal(got, []string{"s all "}) {
		t.Errorf("everybody is let in, and all but one denied: %q", got)
	}
}

func TestEachPartitionIsRead(t *testing.T) {
	for pattern, want := range map[string][]string{
		"arn:aws-cn:s3:::data/*":     {"r all "},
		"arn:aws-us-gov:s3:::data/*": {"r all "},
		"arn:aws-*:s3:::data/*":      {"r all "},
		"arn:*:s3:::data/*":          {"r all "},
		"arn:aws-cn:s3:::other/*":    nil,
	} {
		if got, _ := readers(t, students, role(), policy(`{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "`+pattern+`"}`)); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", pattern, got, want)
		}
	}
}

func TestADenialOfOneNameIsNoneOfAllBelow(t *testing.T) {
	for pattern, want := range map[string][]string{"?": {"r some "}, "?*": {"r some "}, "??": {"r some "}, "*": nil, "**": nil} {
		deny := `{"Effect": "Deny", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::data/students/` + pattern + `"}`
		if got, _ := readers(t, students, role(), policy("["+readAll+", "+deny+"]")); !slices.Equal(got, want) {
			t.Errorf("%s is denied: %q, want %q", pattern, got, want)
		}
	}
}

func TestABoundaryThatCannotBeReadAllowsAll(t *testing.T) {
	boundary := resource{Address: "aws_iam_policy.b", Mode: "managed", Type: "aws_iam_policy", Values: map[string]any{"arn": "arn:aws:iam::123456789012:policy/b", "policy": "?"}}
	got, report := readers(t, students, role("permissions_boundary", "arn:aws:iam::123456789012:policy/b"), policy(readAll), boundary)
	want := []string{"aws_iam_policy.b: its policy cannot be read", "aws_iam_role.r: its boundary arn:aws:iam::123456789012:policy/b cannot be read, and was taken to allow all"}
	if !slices.Equal(got, []string{"r all "}) || !reflect.DeepEqual(report.Unknown, want) {
		t.Errorf("%q, %q", got, report.Unknown)
	}
}

func TestThePolicyOfABucketItselfIsRead(t *testing.T) {
	own := resource{Address: "aws_s3_bucket.d", Mode: "managed", Type: "aws_s3_bucket", Values: map[string]any{"bucket": "data", "acl": "public-read",
		"policy": `{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::data/*"}}`}}
	got, report := readers(t, students, own)
	if !slices.Equal(got, []string{"* all "}) || !reflect.DeepEqual(report.Unknown, []string{"aws_s3_bucket.d: its acl public-read is not read by this report"}) {
		t.Errorf("%q, %q", got, report.Unknown)
	}
}

func FuzzPolicy(f *testing.F) {
	f.Add(`{"Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::data/${x}*"}}`, "data/students/*")
	f.Fuzz(func(t *testing.T, text, place string) {
		rules, err := parse(text)
		if err != nil {
			return
		}
		var v verdict
		v.add(source{address: "p", rules: rules}, place, nil)
		if v.allow != none && len(v.by) == 0 {
			t.Errorf("allowed by nothing: %+v", v)
		}
	})
}
