"""The S3-compatible endpoint with the clients that people use, as Debian has them: aws, rclone, s3cmd, boto3, curl."""

import configparser
import hashlib
import json
import os
import pathlib
import random
import subprocess

from clients import curl
from fleet import SITE_HOST, CacheTest, Origin
from nearside_harness import main, require_program, wait_until

PART_BYTES = 8 << 20
LARGE_BYTES = 64 << 20
MOST_GROWTH_KIB = 48 << 10
# What Debian's packages bring, whatever else is installed beside it.
AWS = "/usr/bin/aws"


class S3SystemTest(CacheTest):
    """An origin with sites demo and other, and key pairs over them."""

    extra = ""

    def setUp(self):
        super().setUp()
        self.origin = Origin(self, extra=self.extra).start()
        for name, host in (("demo", SITE_HOST), ("other", "www.other.test")):
            made = self.origin.call("POST", "/v1/sites", json.dumps({"name": name, "hosts": [host]}).encode())
            self.assertEqual(201, made.status, made)
        self.key, self.secret = self.make_key("demo", "read", "publish")
        self.home = self.folder / "home"
        self.home.mkdir()

    def make_key(self, site: str | None, *scopes: str) -> tuple[str, str]:
        made = self.origin.call("POST", "/v1/tokens", json.dumps(
            {"name": "test", "site": site, "scopes": list(scopes)}).encode())
        self.assertEqual(201, made.status, made)
        pair = json.loads(made.body)["s3"]
        return pair["access_key_id"], pair["secret_access_key"]

    def environment(self, key: str = "", secret: str = "") -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items()
                if not name.startswith("AWS_") and name not in ("http_proxy", "HTTP_PROXY")}
        # Debian's programs run by Debian's Python.
        return {**kept, "HOME": str(self.home), "PATH": "/usr/bin:/bin", "AWS_ACCESS_KEY_ID": key or self.key,
                "AWS_SECRET_ACCESS_KEY": secret or self.secret, "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_MAX_ATTEMPTS": "1", "AWS_EC2_METADATA_DISABLED": "true", "NO_PROXY": "*",
                "PYTHONWARNINGS": "ignore"}

    def run_client(self, *command: str | pathlib.Path, fails: bool = False, timeout: float = 300,
                   **credentials: str) -> subprocess.CompletedProcess:
        result = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=timeout,
                                check=False, stdin=subprocess.DEVNULL, env=self.environment(**credentials))
        self.assertEqual(fails, result.returncode != 0,
                         f"{command}\n{result.stdout}\n{result.stderr}\n{self.origin.daemon.log()[-2000:]}")
        return result

    def aws(self, *arguments: str | pathlib.Path, **options) -> subprocess.CompletedProcess:
        require_program(AWS)
        return self.run_client(AWS, "--endpoint-url", self.origin.url, *arguments, **options)

    def make_tree(self, folder: pathlib.Path) -> dict[str, bytes]:
        """Files with names that clients encode in different ways."""
        dice = random.Random(7)
        files = {name: dice.randbytes(size) for name, size in (
            ("index.html", 700), ("a/b/c.css", 3000), ("a/b c.txt", 10), ("a/plus+and&more=.txt", 20),
            ("a/(brackets)[x]~!*'.js", 30), ("grüße/ünï.txt", 40), ("empty.txt", 0), ("a/%41.txt", 5),
            ("large.bin", 9 << 20))}
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            # A client that compares times has the stored ones in whole seconds: of this one they may look older.
            os.utime(path, (1_700_000_000, 1_700_000_000))
        return files

    def read_tree(self, folder: pathlib.Path) -> dict[str, bytes]:
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def stored(self, site: str = "demo") -> list[str]:
        listing = self.expect(self.origin.call("GET", f"/v1/sites/{site}/assets"), 200)
        return [asset["path"] for asset in json.loads(listing.body)["assets"]]


class AwsTest(S3SystemTest):
    def test_sync_up_and_down_and_delete(self):
        up, down = self.folder / "up", self.folder / "down"
        files = self.make_tree(up)
        self.aws("s3", "sync", up, "s3://demo")
        self.assertEqual(sorted(files, key=str.encode), self.stored())
        self.assertEqual("", self.aws("s3", "sync", up, "s3://demo").stdout, "nothing is left to do")
        (up / "index.html").write_bytes(b"x" * 700)
        os.utime(up / "index.html", (2_000_000_000, 2_000_000_000))
        self.assertIn("index.html", self.aws("s3", "sync", up, "s3://demo").stdout)
        self.assertEqual(b"x" * 700, self.origin.visit("/index.html").body)
        self.aws("s3", "sync", "s3://demo", down)
        self.assertEqual(self.read_tree(up), self.read_tree(down))
        (up / "empty.txt").unlink()
        self.aws("s3", "sync", "--delete", "--size-only", up, "s3://demo")
        self.assertNotIn("empty.txt", self.stored())
        listed = self.aws("s3", "ls", "s3://demo/a/").stdout
        self.assertIn("PRE b/", listed)
        self.assertIn("b c.txt", listed)
        self.aws("s3", "rm", "--recursive", "s3://demo")
        self.assertEqual([], self.stored())

    def test_copy_move_and_stream(self):
        source = self.folder / "source.txt"
        source.write_text("hello")
        self.aws("s3", "cp", "--cache-control", "no-store", "--metadata", "colour=red", source, "s3://demo/a.txt")
        self.aws("s3", "cp", "s3://demo/a.txt", "s3://demo/b/c.txt")
        self.aws("s3", "mv", "s3://demo/b/c.txt", "s3://demo/d.txt")
        head = json.loads(self.aws("s3api", "head-object", "--bucket", "demo", "--key", "d.txt").stdout)
        self.assertEqual(({"colour": "red"}, "no-store", "text/plain", 5),
                         (head["Metadata"], head["CacheControl"], head["ContentType"], head["ContentLength"]))
        self.assertEqual(f'"{hashlib.md5(b"hello").hexdigest()}"', head["ETag"])
        self.assertEqual("hello", self.aws("s3", "cp", "s3://demo/d.txt", "-").stdout)
        self.assertEqual(["a.txt", "d.txt"], self.stored())

    def test_who_may_not_is_told_why(self):
        wrong = self.aws("s3", "ls", "s3://demo", secret="x" * 40, fails=True)
        self.assertIn("SignatureDoesNotMatch", wrong.stderr)
        unknown = self.aws("s3", "ls", "s3://demo", key="nobody", fails=True)
        self.assertIn("InvalidAccessKeyId", unknown.stderr)
        self.assertIn("AccessDenied", self.aws("s3", "ls", "s3://other", fails=True).stderr)
        key, secret = self.make_key("demo", "read")
        denied = self.aws("s3api", "put-object", "--bucket", "demo", "--key", "a", fails=True, key=key, secret=secret)
        self.assertIn("AccessDenied", denied.stderr)
        self.aws("s3", "ls", "s3://demo", key=key, secret=secret)
        self.assertEqual([], self.stored())

    def test_buckets(self):
        key, secret = self.make_key(None, "admin")
        self.aws("s3", "mb", "s3://fresh", key=key, secret=secret)
        self.assertIn("fresh", self.aws("s3", "ls", key=key, secret=secret).stdout)
        self.assertNotIn("fresh", self.aws("s3", "ls").stdout)
        self.aws("s3", "rb", "s3://fresh", key=key, secret=secret)
        self.assertIn("AccessDenied", self.aws("s3", "mb", "s3://mine", fails=True).stderr)

    def test_large_object_in_parts_needs_constant_memory(self):
        large, back = self.folder / "large.bin", self.folder / "back.bin"
        content = random.Random(3).randbytes(1 << 20)
        with open(large, "wb") as file:
            for index in range(LARGE_BYTES >> 20):
                file.write(index.to_bytes(8, "big") + content[8:])
        small = self.folder / "small.bin"
        small.write_bytes(random.Random(4).randbytes(9 << 20))
        self.aws("s3", "cp", small, "s3://demo/warm-up")  # two parts
        before = self.origin.daemon.resident_kib("VmHWM")
        self.aws("s3", "cp", large, "s3://demo/large.bin")
        self.aws("s3", "cp", "s3://demo/large.bin", back)
        if not self.origin.daemon.is_sanitized():
            self.assertLess(self.origin.daemon.resident_kib("VmHWM") - before, MOST_GROWTH_KIB)
        self.assertEqual(hashlib.sha256(large.read_bytes()).digest(), hashlib.sha256(back.read_bytes()).digest())
        digests = [hashlib.md5(large.read_bytes()[at:at + PART_BYTES]).digest()
                   for at in range(0, LARGE_BYTES, PART_BYTES)]
        tag = f'"{hashlib.md5(b"".join(digests)).hexdigest()}-{len(digests)}"'
        head = json.loads(self.aws("s3api", "head-object", "--bucket", "demo", "--key", "large.bin").stdout)
        self.assertEqual(tag, head["ETag"])
        # The parts went with their upload: the same content twice is one file.
        self.aws("s3", "cp", large, "s3://demo/again")
        blobs = [path for path in (self.origin.folder / "blobs").rglob("*") if path.is_file()]
        self.assertEqual(2, len(blobs))

    def test_copy_in_parts_between_keys(self):
        source = self.folder / "source.bin"
        source.write_bytes(random.Random(5).randbytes(9 << 20))
        self.aws("s3", "cp", "--metadata", "colour=red", source, "s3://demo/a.bin")
        self.aws("s3", "cp", "s3://demo/a.bin", "s3://demo/b.bin")
        self.aws("s3", "mv", "s3://demo/b.bin", "s3://demo/c.bin")
        self.aws("s3", "cp", "s3://demo/c.bin", self.folder / "back.bin")
        self.assertEqual(source.read_bytes(), (self.folder / "back.bin").read_bytes())
        head = json.loads(self.aws("s3api", "head-object", "--bucket", "demo", "--key", "c.bin").stdout)
        self.assertEqual({"colour": "red"}, head["Metadata"])
        self.assertEqual(["a.bin", "c.bin"], self.stored())


class RcloneTest(S3SystemTest):
    def rclone(self, *arguments: str | pathlib.Path, **options) -> subprocess.CompletedProcess:
        require_program("rclone")
        config = self.folder / "rclone.conf"
        config.write_text(f"[near]\ntype = s3\nprovider = Other\nendpoint = {self.origin.url}\n"
                          f"access_key_id = {self.key}\nsecret_access_key = {self.secret}\n")
        return self.run_client("rclone", "--config", config, "--retries", "1", "--low-level-retries", "1", *arguments,
                               **options)

    def test_sync_check_and_delete(self):
        up, down = self.folder / "up", self.folder / "down"
        files = self.make_tree(up)
        for number, name in enumerate(files):
            os.utime(up / name, (1_600_000_000 + number, 1_600_000_000 + number))
        self.rclone("sync", up, "near:demo")
        self.rclone("check", up, "near:demo")
        self.rclone("check", "--download", up, "near:demo")
        again = self.rclone("sync", "-v", up, "near:demo")
        self.assertNotIn("Copied", again.stderr)
        self.rclone("sync", "near:demo", down)
        self.assertEqual(files, self.read_tree(down))
        self.assertEqual(1_600_000_000, int((down / "index.html").stat().st_mtime))
        (up / "index.html").unlink()
        (up / "a/b c.txt").write_bytes(b"0123456789")
        self.rclone("sync", up, "near:demo")
        self.rclone("check", up, "near:demo")
        self.assertNotIn("index.html", self.stored())
        os.utime(up / "empty.txt", (1_500_000_000, 1_500_000_000))
        self.rclone("sync", up, "near:demo")  # the date alone: a copy in place
        self.rclone("delete", "near:demo")
        self.assertEqual([], self.stored())

    def test_large_object_in_parts(self):
        large = self.folder / "up" / "large.bin"
        large.parent.mkdir()
        large.write_bytes(random.Random(5).randbytes(LARGE_BYTES))
        self.rclone("copy", "--s3-upload-cutoff", "10M", "--s3-chunk-size", "5M", large.parent, "near:demo")
        self.rclone("check", "--download", large.parent, "near:demo")
        self.rclone("check", large.parent, "near:demo")


class S3cmdTest(S3SystemTest):
    def s3cmd(self, *arguments: str | pathlib.Path, **options) -> subprocess.CompletedProcess:
        require_program("s3cmd")
        config = configparser.ConfigParser(interpolation=None)
        host = self.origin.url.removeprefix("http://")
        config["default"] = {"access_key": self.key, "secret_key": self.secret, "host_base": host,
                             "host_bucket": host, "use_https": "False", "signature_v2": "False"}
        path = self.folder / "s3cfg"
        with open(path, "w") as file:
            config.write(file)
        return self.run_client("s3cmd", "-c", path, "--no-progress", *arguments, **options)

    def test_sync_up_and_down_and_delete(self):
        up, down = self.folder / "up", self.folder / "down"
        files = self.make_tree(up)
        (up / "part.bin").write_bytes(random.Random(9).randbytes(17 << 20))  # in parts of 15 MB
        files["part.bin"] = (up / "part.bin").read_bytes()
        self.s3cmd("sync", f"{up}/", "s3://demo/")
        self.assertEqual(sorted(files, key=str.encode), self.stored())
        self.assertNotIn("upload:", self.s3cmd("sync", f"{up}/", "s3://demo/").stdout)
        down.mkdir()
        self.s3cmd("sync", "s3://demo/", f"{down}/")
        self.assertEqual(files, self.read_tree(down))
        self.assertIn("s3://demo", self.s3cmd("ls").stdout)
        self.assertIn("MD5 sum", self.s3cmd("info", "s3://demo/index.html").stdout)
        self.s3cmd("info", "s3://demo")
        self.s3cmd("cp", "s3://demo/index.html", "s3://demo/copy.html")
        self.assertEqual(files["index.html"], self.origin.visit("/copy.html").body)
        (up / "index.html").unlink()
        self.s3cmd("sync", "--delete-removed", f"{up}/", "s3://demo/")
        self.assertNotIn("index.html", self.stored())
        self.s3cmd("del", "--recursive", "--force", "s3://demo/")
        self.assertEqual([], self.stored())


class BotoTest(S3SystemTest):
    """boto3 of Debian's own Python; the script prints JSON."""

    extra = '[s3]\ndomain = "s3.example.test"\n'

    def boto(self, script: str, **options) -> object:
        head = ("import boto3, json\nfrom botocore.config import Config\nfrom botocore.exceptions import ClientError\n"
                f"s3 = boto3.client('s3', endpoint_url={self.origin.url!r}, config=Config("
                "s3={'addressing_style': 'path'}, retries={'max_attempts': 0}))\n"
                "def code(call, **arguments):\n"
                "    try:\n        call(**arguments)\n    except ClientError as error:\n"
                "        return error.response['Error']['Code']\n    return ''\n")
        result = self.run_client("/usr/bin/python3", "-c", head + script, **options)
        return json.loads(result.stdout)

    def test_conditions_ranges_and_metadata(self):
        found = self.boto("""
s3.put_object(Bucket='demo', Key='a', Body=b'hello', ContentType='text/css', Metadata={'k': 'v'},
              ContentDisposition='inline')
tag = s3.head_object(Bucket='demo', Key='a')['ETag']
part = s3.get_object(Bucket='demo', Key='a', Range='bytes=1-3')
print(json.dumps([
    part['Body'].read().decode(), part['ContentRange'], part['Metadata'], part['ContentType'],
    part['ContentDisposition'],
    code(s3.get_object, Bucket='demo', Key='a', IfNoneMatch=tag),
    code(s3.get_object, Bucket='demo', Key='a', IfMatch='"other"'),
    code(s3.get_object, Bucket='demo', Key='a', Range='bytes=9-'),
    code(s3.get_object, Bucket='demo', Key='none'),
    code(s3.put_object, Bucket='demo', Key='folder/', Body=b''),
    code(s3.put_object, Bucket='demo', Key='a', Body=b'x', ContentMD5='1B2M2Y8AsgTpgAmY7PhCfg=='),
    code(s3.put_bucket_versioning, Bucket='demo', VersioningConfiguration={'Status': 'Enabled'}),
    code(s3.get_bucket_policy, Bucket='demo'),
    s3.get_bucket_location(Bucket='demo')['LocationConstraint'],
]))
""")
        self.assertEqual(["ell", "bytes 1-3/5", {"k": "v"}, "text/css", "inline", "304", "PreconditionFailed",
                          "InvalidRange", "NoSuchKey", "InvalidArgument", "BadDigest", "NotImplemented",
                          "NoSuchBucketPolicy", None], found)

    def test_pages_and_deletion_of_many(self):
        found = self.boto("""
for n in range(25):
    s3.put_object(Bucket='demo', Key=f'f{n % 5}/{n}', Body=b'x')
keys = [item['Key'] for page in s3.get_paginator('list_objects_v2').paginate(
    Bucket='demo', PaginationConfig={'PageSize': 4}) for item in page['Contents']]
old = [item['Key'] for page in s3.get_paginator('list_objects').paginate(
    Bucket='demo', PaginationConfig={'PageSize': 4}) for item in page['Contents']]
prefixes = [item['Prefix'] for page in s3.get_paginator('list_objects_v2').paginate(
    Bucket='demo', Delimiter='/', PaginationConfig={'PageSize': 2}) for item in page['CommonPrefixes']]
s3.delete_objects(Bucket='demo', Delete={'Objects': [{'Key': key} for key in keys[:20]]})
print(json.dumps([len(set(keys)), keys == sorted(keys), keys == old, prefixes,
                  s3.list_objects_v2(Bucket='demo')['KeyCount']]))
""")
        self.assertEqual([25, True, True, ["f0/", "f1/", "f2/", "f3/", "f4/"], 5], found)

    def test_parts_by_hand(self):
        found = self.boto("""
upload = s3.create_multipart_upload(Bucket='demo', Key='m', Metadata={'k': 'v'})['UploadId']
one = s3.upload_part(Bucket='demo', Key='m', UploadId=upload, PartNumber=1, Body=b'a' * (5 << 20))['ETag']
s3.put_object(Bucket='demo', Key='source', Body=b'0123456789')
two = s3.upload_part_copy(Bucket='demo', Key='m', UploadId=upload, PartNumber=2, CopySource='demo/source',
                          CopySourceRange='bytes=2-4')['CopyPartResult']['ETag']
listed = [part['PartNumber'] for part in s3.list_parts(Bucket='demo', Key='m', UploadId=upload)['Parts']]
running = len(s3.list_multipart_uploads(Bucket='demo')['Uploads'])
s3.complete_multipart_upload(Bucket='demo', Key='m', UploadId=upload, MultipartUpload={'Parts': [
    {'PartNumber': 1, 'ETag': one}, {'PartNumber': 2, 'ETag': two}]})
gone = s3.create_multipart_upload(Bucket='demo', Key='n')['UploadId']
s3.abort_multipart_upload(Bucket='demo', Key='n', UploadId=gone)
head = s3.head_object(Bucket='demo', Key='m')
print(json.dumps([listed, running, head['ContentLength'], head['Metadata'], head['ETag'][-3:],
                  code(s3.list_parts, Bucket='demo', Key='n', UploadId=gone)]))
""")
        self.assertEqual([[1, 2], 1, (5 << 20) + 3, {"k": "v"}, '-2"', "NoSuchUpload"], found)

    def test_presigned_urls_by_curl(self):
        self.boto("s3.put_object(Bucket='demo', Key='a b', Body=b'hello'); print(1)")
        url = self.presigned_v4("get_object", "a b")
        self.assertEqual(b"hello", self.expect(curl(url), 200).body)
        self.assertEqual(b"el", self.expect(curl(url, fields={"Range": "bytes=1-2"}), 206).body)
        self.expect(curl(url.replace("/a%20b", "/other")), 403)
        self.expect(curl(url, method="DELETE"), 403)

    def presigned_v4(self, operation: str, key: str, expires: int = 3600, **parameters: str) -> str:
        wanted = {"Bucket": "demo", "Key": key, **parameters}
        return self.boto(f"""
signer = boto3.client('s3', endpoint_url={self.origin.url!r}, config=Config(signature_version='s3v4',
                      s3={{'addressing_style': 'path'}}))
print(json.dumps(signer.generate_presigned_url({operation!r}, Params={wanted!r}, ExpiresIn={expires})))
""")

    def test_presigned_urls_end_and_cannot_be_bent(self):
        put = self.presigned_v4("put_object", "up")
        self.expect(curl(put, method="PUT", data=b"from curl", http="1.1"), 200)
        get = self.presigned_v4("get_object", "up", ResponseContentType="text/x-own")
        response = self.expect(curl(get), 200)
        self.assertEqual((b"from curl", "text/x-own"), (response.body, response.field("content-type")))
        self.expect(curl(get.replace("text%2Fx-own", "text%2Fhtml")), 403)
        self.expect(curl(put, method="PUT", data=b"x", http="1.1", fields={"x-amz-meta-a": "b"}), 403)
        refused = self.expect(curl(get.replace("X-Amz-Expires=3600", "X-Amz-Expires=7200")), 403)
        self.assertIn(b"SignatureDoesNotMatch", refused.body)
        short = self.presigned_v4("get_object", "up", expires=1)
        wait_until(lambda: b"Request has expired" in curl(short).body, "a URL of one second has expired")

    def test_bucket_in_the_host_name(self):
        found = self.boto(f"""
import socket
real = socket.getaddrinfo
def to_origin(host, *rest, **more):
    return real({self.origin.address!r} if host.endswith('s3.example.test') else host, *rest, **more)
socket.getaddrinfo = to_origin
virtual = boto3.client('s3', endpoint_url='http://s3.example.test:{self.origin.api[1]}', config=Config(
    s3={{'addressing_style': 'virtual'}}))
virtual.put_object(Bucket='demo', Key='v/a', Body=b'hello')
print(json.dumps([virtual.get_object(Bucket='demo', Key='v/a')['Body'].read().decode(),
                  [bucket['Name'] for bucket in virtual.list_buckets()['Buckets']]]))
""")
        self.assertEqual(["hello", ["demo"]], found)


if __name__ == "__main__":
    main()
