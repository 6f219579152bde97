"""A private CA with the openssl command: EC P-256, identities as URI SANs understudy://SITE/ROLE/NAME (SECURITY.md 1)."""
import os
import pathlib
import subprocess


def openssl(*words):
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise RuntimeError(f"openssl {words[0]}: {done.stderr}")
    return done.stdout


class Identity:
    """Certificate and key of one principal, and the CA that signed them."""

    def __init__(self, certificate, key, ca):
        self.certificate, self.key, self.ca = str(certificate), str(key), str(ca)


class Pki:
    def __init__(self, folder, site="test", name="test site"):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        self.site = site
        self.ca, self.ca_key = self.folder / "ca.pem", self.folder / "ca.key"
        self._key(self.ca_key)
        openssl("req", "-x509", "-new", "-key", self.ca_key, "-days", "3650", "-subj", f"/CN={name}", "-out", self.ca,
                "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def _key(self, path):
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path)
        os.chmod(path, 0o600)

    def uri(self, role, name):
        return f"understudy://{self.site}/{role}/{name}"

    def issue(self, role, name, uris=None, days=365, start=None, end=None, file=None, sans=()):
        """A certificate for ROLE/NAME, or with other URIs, and `sans` besides (IP:…, DNS:…); `start` and `end` (YYYYMMDDHHMMSSZ) make one that is expired or not yet valid."""
        stem = self.folder / (file or f"{role}-{name}")
        certificate, key, request, config = (stem.with_name(stem.name + s) for s in (".pem", ".key", ".csr", ".cnf"))
        if certificate.exists():
            return Identity(certificate, key, self.ca)
        self._key(key)
        names = ",".join([*(f"URI:{u}" for u in ([self.uri(role, name)] if uris is None else uris)), *sans])
        extensions = "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\n"
        if names:
            extensions += f"subjectAltName={names}\n"
        openssl("req", "-new", "-key", key, "-subj", f"/CN={role} {name}", "-out", request)
        database = stem.with_name(stem.name + ".db")
        database.write_text("")
        config.write_text(f"[ca]\ndefault_ca=c\n[c]\ndatabase={database}\nnew_certs_dir={self.folder}\ncertificate={self.ca}\nprivate_key={self.ca_key}\n"
                          f"rand_serial=yes\ndefault_md=sha256\npolicy=p\nunique_subject=no\n[p]\ncommonName=supplied\n[e]\n{extensions}")
        when = ["-startdate", start or "20200101000000Z", "-enddate", end] if end else ["-days", days]
        openssl("ca", "-batch", "-config", config, "-extensions", "e", "-in", request, "-out", certificate, "-notext", *when)
        return Identity(certificate, key, self.ca)
