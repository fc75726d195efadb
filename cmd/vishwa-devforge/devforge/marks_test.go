// Statuses, check runs and deployments.

package devforge_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-github/v62/github"
)

func TestStatusesAreKeptByContext(t *testing.T) {
	f := start(t)
	_, sha := proposed(t, f)
	gh := client(t, f, f.Token("asha"))
	post := func(state, context, description string) error {
		_, _, err := gh.Repositories.CreateStatus(background(), "acme", "models", sha, &github.RepoStatus{State: &state, Context: &context, Description: &description, TargetURL: github.String("https://example.com/x")})
		return err
	}
	ok(t, post("pending", "vishwa/plan", "under way"))
	ok(t, post("success", "vishwa/plan", strings.Repeat("é", 140)))
	ok(t, post("failure", "vishwa/train", "regressed"))
	for name, err := range map[string]error{
		"an unknown state":   post("green", "x", ""),
		"a long description": post("success", "x", strings.Repeat("é", 141)),
	} {
		if status(err) != 422 {
			t.Errorf("%s: %v", name, err)
		}
	}
	all, _, err := gh.Repositories.GetCombinedStatus(background(), "acme", "models", sha, nil)
	ok(t, err)
	if all.GetState() != "failure" || all.GetTotalCount() != 2 || all.Statuses[0].GetState() != "success" || all.Statuses[0].GetCreator().GetLogin() != "asha" {
		t.Errorf("together they are %+v", all)
	}
	list, _, err := gh.Repositories.ListStatuses(background(), "acme", "models", "topic", nil)
	ok(t, err)
	if len(list) != 3 || list[0].GetContext() != "vishwa/train" {
		t.Errorf("one by one they are %v", list)
	}
}

func TestCheckRunsAreOfTheirApp(t *testing.T) {
	f := start(t)
	_, sha := proposed(t, f)
	gh := client(t, f, f.ActionsToken(repoName, map[string]string{"checks": "write", "contents": "read"}))
	annotations := func(n int) (out []*github.CheckRunAnnotation) {
		for i := range n {
			out = append(out, &github.CheckRunAnnotation{Path: github.String("a.yaml"), StartLine: github.Int(i + 1), EndLine: github.Int(i + 1), AnnotationLevel: github.String("failure"), Message: github.String("no")})
		}
		return out
	}
	text := func(n int) *github.CheckRunOutput {
		return &github.CheckRunOutput{Title: github.String("Plan"), Summary: github.String("2 steps"), Annotations: annotations(n)}
	}
	run, _, err := gh.Checks.CreateCheckRun(background(), "acme", "models", github.CreateCheckRunOptions{Name: "vishwa/plan", HeadSHA: sha, Status: github.String("in_progress"), Output: text(50)})
	ok(t, err)
	if run.GetStatus() != "in_progress" || run.GetHeadSHA() != sha || run.GetApp().GetSlug() != "github-actions" {
		t.Errorf("the check run is %+v", run)
	}
	if _, _, err := gh.Checks.CreateCheckRun(background(), "acme", "models", github.CreateCheckRunOptions{Name: "x", HeadSHA: sha, Output: text(51)}); status(err) != 422 {
		t.Errorf("51 annotations: %v", err)
	}
	if _, _, err := gh.Checks.CreateCheckRun(background(), "acme", "models", github.CreateCheckRunOptions{Name: "x", HeadSHA: sha, Status: github.String("completed")}); status(err) != 422 {
		t.Errorf("an end without conclusion: %v", err)
	}
	done, _, err := gh.Checks.UpdateCheckRun(background(), "acme", "models", run.GetID(), github.UpdateCheckRunOptions{Name: "vishwa/plan", Conclusion: github.String("failure"), Output: text(3)})
	ok(t, err)
	if done.GetStatus() != "completed" || done.GetCompletedAt().IsZero() || done.GetOutput().GetAnnotationsCount() != 53 {
		t.Errorf("the completed check run is %+v", done)
	}
	again, _, err := gh.Checks.CreateCheckRun(background(), "acme", "models", github.CreateCheckRunOptions{Name: "vishwa/plan", HeadSHA: sha})
	ok(t, err)
	for filter, want := range map[string]int{"latest": 1, "all": 2} {
		list, _, err := gh.Checks.ListCheckRunsForRef(background(), "acme", "models", sha, &github.ListCheckRunsOptions{CheckName: github.String("vishwa/plan"), Filter: &filter})
		ok(t, err)
		if list.GetTotal() != want || list.CheckRuns[0].GetID() != again.GetID() {
			t.Errorf("filter %s: %d runs", filter, list.GetTotal())
		}
	}
	notes, _, err := gh.Checks.ListCheckRunAnnotations(background(), "acme", "models", run.GetID(), &github.ListOptions{PerPage: 100})
	ok(t, err)
	if len(notes) != 53 || notes[0].GetPath() != "a.yaml" {
		t.Errorf("there are %d annotations", len(notes))
	}
}

func TestDeploymentsKeepTheirStates(t *testing.T) {
	f := start(t)
	w, sha := proposed(t, f)
	gh := client(t, f, f.Token("asha"))
	deploy := func(ref, environment string, contexts *[]string) (*github.Deployment, error) {
		d, _, err := gh.Repositories.CreateDeployment(background(), "acme", "models", &github.DeploymentRequest{
			Ref: &ref, Environment: &environment, RequiredContexts: contexts, AutoMerge: github.Bool(false), Payload: map[string]string{"key": "k1"},
		})
		return d, err
	}
	_, _, err := gh.Repositories.CreateStatus(background(), "acme", "models", sha, &github.RepoStatus{State: github.String("pending"), Context: github.String("vishwa/plan")})
	ok(t, err)
	if _, err := deploy(sha, "staging", nil); status(err) != 409 {
		t.Errorf("deployed before the status was a success: %v", err)
	}
	if _, err := deploy("no-such-ref", "staging", &[]string{}); status(err) != 422 {
		t.Errorf("deployed nothing: %v", err)
	}
	first, err := deploy(sha, "staging", &[]string{})
	ok(t, err)
	if first.GetSHA() != sha || string(first.Payload) != `{"key":"k1"}` {
		t.Errorf("the deployment is %+v", first)
	}
	state := func(d *github.Deployment, s string) error {
		_, _, err := gh.Repositories.CreateDeploymentStatus(background(), "acme", "models", d.GetID(), &github.DeploymentStatusRequest{State: &s, EnvironmentURL: github.String("http://127.0.0.1:1/")})
		return err
	}
	ok(t, state(first, "in_progress"))
	ok(t, state(first, "success"))
	if err := state(first, "fine"); status(err) != 422 {
		t.Errorf("an unknown state: %v", err)
	}
	second, err := deploy("topic", "staging", &[]string{})
	ok(t, err)
	ok(t, state(second, "success"))
	states, _, err := gh.Repositories.ListDeploymentStatuses(background(), "acme", "models", first.GetID(), nil)
	ok(t, err)
	if len(states) != 3 || states[0].GetState() != "inactive" || states[1].GetEnvironmentURL() == "" {
		t.Errorf("the states of the first deployment are %v", states)
	}
	list, _, err := gh.Repositories.ListDeployments(background(), "acme", "models", &github.DeploymentsListOptions{SHA: sha, Environment: "staging"})
	ok(t, err)
	if len(list) != 2 || list[0].GetID() != second.GetID() {
		t.Errorf("the deployments are %v", list)
	}
	w.git("checkout", "--quiet", "main")
	w.commit("NOTES", "x")
	w.git("push", "--quiet", "origin", "main")
	_, resp, err := gh.Repositories.CreateDeployment(background(), "acme", "models", &github.DeploymentRequest{Ref: github.String("topic"), RequiredContexts: &[]string{}})
	if resp == nil || resp.StatusCode != 202 {
		t.Errorf("a branch that is behind was deployed: %v %v", resp, err)
	}
	shown, err := f.Shown(repoName)
	ok(t, err)
	if got := fmt.Sprint(shown.Deployments[0].States); got != "[in_progress success inactive]" {
		t.Errorf("shown is %s", got)
	}
}
