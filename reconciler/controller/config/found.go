// What a controller's file names on this machine, looked at before the controller
// runs: it would say the same, later and one by one.

package config

import (
	"errors"
	"io/fs"
	"os"
	"strconv"
)

// found tells of what c names and is not there, or is something else.
func (d *decoder) found(c Spec) {
	if info, err := os.Stat(c.State); c.State != "" && (err == nil && !info.IsDir() || err != nil && !errors.Is(err, fs.ErrNotExist)) {
		d.problem("spec.state", "%s is not a folder that can be written; name one, which is made where it is missing", strconv.Quote(c.State))
	}
	if info, err := os.Stat(c.Keys); c.Keys != "" && (err != nil || !info.IsDir()) {
		d.problem("spec.keys", "%s is not a folder of keys; name the one that vishwa keys generate made", strconv.Quote(c.Keys))
	}
	d.secretFile("spec.keyPassword", c.KeyPassword)
	d.secretFile("spec.sealKey", c.SealKey)
	d.secretFile("spec.webhook.secret", c.Webhook.Secret)
	d.secretFile("spec.webhook.previous", c.Webhook.Previous)
	for i, a := range c.Alerts {
		path := join("spec.alerts", strconv.Itoa(i))
		if a.Slack != nil {
			d.secretFile(path+".slack.url", &a.Slack.URL)
		}
		if a.Webhook != nil {
			d.secretFile(path+".webhook.token", a.Webhook.Token)
		}
		if a.Alertmanager != nil {
			d.secretFile(path+".alertmanager.token", a.Alertmanager.Token)
		}
	}
	d.secretFile("spec.notifications.token", c.Notifications.Token)
	d.secretFile("spec.notifications.mlflow", c.Notifications.MLflow)
	for i, r := range c.Repositories {
		path := join("spec.repositories", strconv.Itoa(i))
		if r.Path != "" {
			d.local(path+".path", r.Path)
		}
		if r.GitHub == nil {
			continue
		}
		d.secretFile(path+".github.token", r.GitHub.Token)
		if r.GitHub.App != nil {
			d.secretFile(path+".github.app.key", &r.GitHub.App.Key)
		}
	}
}

// local looks whether there is a repository.
func (d *decoder) local(path, dir string) {
	if info, err := os.Stat(dir); err != nil {
		d.problem(path, "%s %s; clone it there, or correct the path", strconv.Quote(dir), reason(err))
	} else if !info.IsDir() {
		d.problem(path, "%s is not a folder; name the repository's folder", strconv.Quote(dir))
	} else if _, err := GitFolder(dir); err != nil {
		d.problem(path, "%s holds no Git repository; run git init there, or correct the path", strconv.Quote(dir))
	}
}

// secretFile looks whether a secret could be read; it is not kept.
func (d *decoder) secretFile(path string, s *Secret) {
	if s == nil || s.File == "" {
		return
	}
	if _, err := s.Read(nil); err == nil {
		return
	}
	if _, err := os.Stat(s.File); err != nil {
		d.problem(path+".file", "%s %s; put the secret there, or correct the path", strconv.Quote(s.File), reason(err))
		return
	}
	d.problem(path+".file", "%s cannot be read, is empty, or is larger than 64 KiB; put nothing but the secret there", strconv.Quote(s.File))
}

func reason(err error) string {
	if errors.Is(err, fs.ErrNotExist) {
		return "is not there"
	}
	return "cannot be looked at"
}
