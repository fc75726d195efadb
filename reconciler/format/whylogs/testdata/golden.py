# Profiles of whylogs with what whylogs itself computes of them: golden.py FOLDER SEED.
import json, sys, os
import numpy as np, pandas as pd, scipy
import whylogs as why
from whylogs.viz.drift.column_drift_algorithms import KS
out=sys.argv[1]; os.makedirs(out, exist_ok=True)
rng=np.random.default_rng(int(sys.argv[2]))
def frame(n, shift, scale=1.0):
    return pd.DataFrame({"area": rng.normal(shift,scale,n), "rooms": rng.integers(1,12,n), "price": np.exp(rng.normal(shift,1,n)),
      "kind": rng.choice(list("abc"), n), "const": np.full(n, 3.5), "holes": np.where(rng.random(n)<0.3, np.nan, rng.normal(shift,1,n))})
cases=[]
for name,(n,m,s) in {"one":(1,1,0.0),"few":(5,7,0.5),"tens":(50,60,0.3),"hundreds":(700,900,0.1),"same":(3000,2500,0.0),"drift":(20000,5000,0.4)}.items():
    keep=["area","kind"] if name in ("same","drift") else None
    pick=lambda f: f[keep] if keep else f
    ref=why.log(pick(frame(n,0))).profile().view(); cur=why.log(pick(frame(m,s))).profile().view()
    ref.write(os.path.join(out,name+"-reference.bin")); cur.write(os.path.join(out,name+"-profile.bin"))
    cols={}
    for c in cur.get_columns():
        a=cur.get_column(c); b=ref.get_column(c)
        da=a.get_metric("distribution"); db=b.get_metric("distribution")
        if da is None or db is None or da.kll.value.is_empty() or db.kll.value.is_empty(): continue
        sc=KS().calculate(a,b)
        k=da.kll.value
        cols[c]={"p":sc.pvalue if sc else None,"d":sc.statistic if sc else None,"n":k.get_n(),"m":db.kll.value.get_n(),"quantiles":k.get_quantiles(list(np.linspace(0,1,100)))[:],"cdf":k.get_cdf([0.25])[0]}
    cases.append({"name":name,"columns":cols})
json.dump({"whylogs":"1.6.4","scipy":scipy.__version__,"cases":cases}, open(os.path.join(out,"golden.json"),"w"), indent=None)
