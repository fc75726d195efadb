// The way into an image that nothing brings the worker to: an interpreter of its own fetches it.

package dispatch

// Bootstrap is a program for Python 3.8 or newer that fetches the worker which its ticket
// names, checks it, and becomes it; what it fetched is removed when the worker ends, as its
// machine may be there for longer. What a worker that was begun so says of isolation does
// not count: the image came first. Why it fails it says where a cluster looks, as a worker does.
//
// A variable of PinPrefix and the machine's architecture says which worker it has to be, where a ticket
// may be written by others than whoever made the pod; where another architecture's is said, there is none.
const Bootstrap = `import hashlib,json,os,platform,sys,tempfile,time,urllib.request
def bad(s):
    try:
        with open("/dev/termination-log","r+") as o: o.write(s)
    except OSError: pass
    sys.exit(s)
f="/vishwa/ticket/ticket"
t=open(f).read() if os.path.exists(f) else os.environ["VISHWA_TICKET"]
a={"x86_64":"amd64","aarch64":"arm64"}.get(platform.machine(),platform.machine())
w=json.loads(t).get("worker",{}).get(a)
if not w: bad("vishwa: there is no worker for "+a)
k="` + PinPrefix + `"
if any(n.startswith(k) for n in os.environ) and os.environ.get(k+a.upper())!=w["sha256"]: bad("vishwa: the ticket names another worker than this pod: somebody changed the Secret of this pod: run vishwa apply")
d=tempfile.mkdtemp(dir="/vishwa/work" if os.path.isdir("/vishwa/work") else None)
p=os.path.join(d,"vishwa-worker")
for n in range(5):
    try:
        h=hashlib.sha256()
        with urllib.request.urlopen(w["url"],timeout=60) as r, open(p,"wb") as f:
            while True:
                b=r.read(1<<20)
                if not b: break
                h.update(b); f.write(b)
        break
    except Exception as e:
        if n==4: bad("vishwa: the worker cannot be fetched from the store at "+w["url"].split("/")[2]+": "+type(e).__name__+": "+str(getattr(e,"reason","")or getattr(e,"code","")))
        time.sleep(2**n)
if "sha256:"+h.hexdigest()!=w["sha256"]: bad("vishwa: the worker that came is not the one that was sent")
os.chmod(p,0o700)
os.environ["VISHWA_FETCHED"]=p
os.execv(p,[p]+(sys.argv[1:] or ["work"]))
`

// PinPrefix begins the variables that pin a worker: VISHWA_WORKER_AMD64.
const PinPrefix = "VISHWA_WORKER_"
