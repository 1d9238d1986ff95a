"""What worker.t plays on: a private cluster with the worker preloaded, and the HTTPS peer, in one directory."""
import json
import os
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
import urllib.request

here = os.path.dirname(os.path.abspath(__file__))
cluster = os.path.join(here, "..", "cluster.sh")
ROLE = "ewh_worker"
SECRETS = ["whsec_" + "QUFB" * 11, "whsec_" + "QkJC" * 11]


class Stage:
    def __init__(self, seed):
        self.dir = tempfile.mkdtemp(prefix="ewh-worker.")
        os.chmod(self.dir, 0o755)
        self.db = "postgres"
        self.peer = None
        try:
            self.make_certificates()
            self.start_peer(seed)
            self.start_cluster()
        except BaseException:
            self.close()
            raise

    def path(self, name):
        return os.path.join(self.dir, name)

    # The peer.

    def openssl(self, *args):
        subprocess.run(["openssl", *args], cwd=self.dir, check=True, capture_output=True)

    def make_certificates(self):
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                     "-subj", "/CN=test authority", "-addext", "keyUsage=critical,keyCertSign", "-keyout", "ca.key", "-out", "ca.pem")
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=peer",
                     "-keyout", "peer.key", "-out", "peer.csr")
        with open(self.path("ext"), "w") as f:
            f.write("subjectAltName=DNS:localhost,DNS:peer.test,DNS:rebinding.test\nauthorityKeyIdentifier=keyid\n")
        self.openssl("x509", "-req", "-in", "peer.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2",
                     "-extfile", "ext", "-out", "peer.pem")

    def start_peer(self, seed):
        self.peer = subprocess.Popen(["python3", os.path.join(here, "peer.py"), self.path("peer.pem"), self.path("peer.key"),
                                      self.path("port"), str(seed)])
        self.port = int(self.wait_for(lambda: os.path.exists(self.path("port")) and open(self.path("port")).read(), "the peer", 10))
        self.url = f"https://peer.test:{self.port}"
        context = ssl.create_default_context(cafile=self.path("ca.pem"))
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))

    def control(self, key, value=None):
        """Set a value of the peer's, or without one read it."""
        data = None if value is None else json.dumps(value).encode()
        request = urllib.request.Request(f"https://localhost:{self.port}/control/{key}", data=data, method="GET" if data is None else "PUT")
        body = self.opener.open(request).read()
        return json.loads(body) if body else None

    # The server.

    def start_cluster(self):
        subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-o", self.path("resolver.so"), os.path.join(here, "resolver.c"), "-ldl"], check=True)
        self.hosts("peer.test 127.0.0.1")
        conf = "\n".join([
            f"erp_webhook.worker_role = '{ROLE}'", "erp_webhook.databases = ''",
            f"erp_webhook.ca_file = '{self.path('ca.pem')}'", f"erp_webhook.allowed_addresses = '127.0.0.1:{self.port}'",
            "erp_webhook.worker_interval = 50", "erp_webhook.retry_scale = 0.00001",
            "wal_level = replica", "max_wal_senders = 4", "hot_standby = on"])
        # A proxy in the environment must not be used, nor a password in the home directory: this proxy answers nobody.
        with open(self.path(".netrc"), "w") as f:
            f.write("machine peer.test login netrc password netrc\n")
        self.server_env = dict(os.environ, LD_PRELOAD=self.path("resolver.so"), EWH_TEST_HOSTS=self.path("hosts"), HOME=self.dir,
                               https_proxy="http://127.0.0.1:9", ALL_PROXY="http://127.0.0.1:9")
        subprocess.run([cluster, "start", self.path("cluster")], check=True, env=dict(self.server_env, CLUSTER_CONF=conf), stdout=subprocess.DEVNULL)
        shown = subprocess.run([cluster, "env", self.path("cluster")], check=True, capture_output=True, text=True).stdout
        settings = dict(word.split("=", 1) for word in shown.split() if "=" in word)
        self.env = dict(os.environ, **{k: v for k, v in settings.items() if k.startswith("PG")})
        self.psql_path = os.path.join(settings["PATH"].split(":")[0], "psql")

    def hosts(self, *lines):
        with open(self.path("hosts"), "w") as f:
            f.write("\n".join(lines) + "\n")

    def sql(self, text, db=None, fails=False, **env):
        """Rows of a statement as lists of text; with fails, the error it must raise."""
        done = subprocess.run([self.psql_path, "-XAtq", "-F", "\x1f", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose", "-d", db or self.db, "-f", "-"],
                              input=text, env=dict(self.env, **env), capture_output=True, text=True)
        if fails:
            return done.stderr if done.returncode else None
        if done.returncode:
            raise AssertionError(f"{text[:500]}\n{done.stderr}")
        return [line.split("\x1f") for line in done.stdout.splitlines()]

    def value(self, text, **more):
        rows = self.sql(text, **more)
        return rows[0][0] if rows else None

    def restart(self, mode="fast"):
        subprocess.run([cluster, "restart", self.path("cluster"), mode], check=True, env=self.server_env, stdout=subprocess.DEVNULL)

    def preload(self):
        """From now on the library is preloaded, and the worker runs."""
        self.sql("ALTER SYSTEM SET shared_preload_libraries = 'erp_webhook'")
        self.sql(f"LOAD 'erp_webhook'; ALTER SYSTEM SET erp_webhook.databases = '{self.db}'")
        self.restart()
        self.wait_for(self.worker_pid, "the worker")

    def setting(self, name, value):
        self.sql(f"LOAD 'erp_webhook'; ALTER SYSTEM SET {name} = '{value}'")
        self.sql("SELECT pg_reload_conf()")

    def as_owner(self, *args):
        """Run a program of the server's as whoever may run it."""
        user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--"] if os.geteuid() == 0 else []
        bindir = os.path.dirname(self.psql_path)
        subprocess.run([*user, os.path.join(bindir, args[0]), *args[1:]], check=True, cwd="/", env=dict(self.server_env, **self.env), stdout=subprocess.DEVNULL)

    def start_standby(self):
        """A hot standby on port 5433 of the same socket directory."""
        data = self.path("cluster/standby")
        self.as_owner("pg_basebackup", "-D", data, "-R", "-c", "fast")
        self.as_owner("pg_ctl", "-D", data, "-l", self.path("cluster/standby.log"), "-o", "-p 5433", "-w", "start")

    def stop_standby(self):
        self.as_owner("pg_ctl", "-D", self.path("cluster/standby"), "-m", "immediate", "-w", "stop")

    def log(self):
        with open(self.path("cluster/log")) as f:
            return f.read()

    def wait_for(self, condition, what, seconds=60):
        """Wait until a condition holds; a server that is away for a moment is none that holds."""
        until, problem = time.time() + seconds, ""
        while time.time() < until:
            try:
                got = condition()
            except AssertionError as e:
                got, problem = None, f": {e}"
            if got:
                return got
            time.sleep(0.05)
        raise AssertionError(f"waited {seconds} s in vain for {what}{problem}")

    def worker_pid(self, db=None):
        return self.value(f"SELECT pid FROM pg_stat_activity WHERE backend_type = 'erp_webhook worker' AND datname = '{db or self.db}'")

    def close(self):
        subprocess.run([cluster, "stop", self.path("cluster")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if self.peer:
            self.peer.send_signal(signal.SIGKILL)
            self.peer.wait()
        shutil.rmtree(self.dir, ignore_errors=True)
