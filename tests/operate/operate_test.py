"""The program as an operator meets it: metrics, logs, readiness, and what SIGTERM does to answers. Needs CALLIOPE."""

import http.client
import json
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
import unittest
import wave

from prometheus_client.parser import text_string_to_metric_families

LONG = {"messages": [{"role": "user", "content": "What is the capital of France?"}], "max_tokens": 200, "stream": True,
        "temperature": 2, "seed": 5, "modalities": ["text", "audio"], "audio": {"voice": "default", "format": "pcm16"}}
SHORT = {"messages": [{"role": "user", "content": "What is the capital of France?"}], "temperature": 0}


class Program:
    """`calliope serve` on a free port."""

    def __init__(self, *options):
        self.process = subprocess.Popen([os.environ["CALLIOPE"], "serve", "--port", "0", *options], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        self.log = []
        self.reader = threading.Thread(target=lambda: self.log.extend(self.process.stderr), daemon=True)
        self.reader.start()
        line = self.process.stdout.readline()
        self.port = int(re.search(r"http://127\.0\.0\.1:(\d+)", line).group(1))

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def ask(self, method, path, body=None, headers={}):
        connection = self.connect()
        connection.request(method, path, body and json.dumps(body), {"Content-Type": "application/json", **headers})
        return connection.getresponse()

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(30)
        self.reader.join(10)
        self.process.stdout.close()
        self.process.stderr.close()
        return status


class Operate(unittest.TestCase):
    def setUp(self):
        self.program = None

    def tearDown(self):
        if self.program and self.program.process.poll() is None:
            self.program.process.kill()
            self.program.process.wait()

    def metrics(self, headers={}):
        """{(name, labels): value}, as Prometheus' own parser reads it."""
        response = self.program.ask("GET", "/metrics", headers=headers)
        self.assertEqual(response.status, 200)
        values = {}
        for family in text_string_to_metric_families(response.read().decode()):
            self.assertTrue(family.documentation, family.name)
            for sample in family.samples:
                key = (sample.name, tuple(sorted(sample.labels.items())))
                self.assertNotIn(key, values)
                values[key] = sample.value
        return values

    def test_transcribe_writes_a_line_for_each_file(self):
        with tempfile.TemporaryDirectory() as folder:
            spoken, silent = f"{folder}/spoken.wav", f"{folder}/silent.wav"
            calliope = lambda *arguments: subprocess.run([os.environ["CALLIOPE"], *arguments], capture_output=True, text=True)
            self.assertEqual(calliope("ask", "What is the capital of France?", "--speak", spoken).returncode, 0)
            with wave.open(silent, "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(16000)
                file.writeframes(bytes(32000))
            both = calliope("transcribe", spoken, silent, "--times")
            self.assertEqual(both.returncode, 0, both.stderr)
            lines = both.stdout.split("\n")
            self.assertEqual(len(lines), 3, both.stdout)
            self.assertEqual(lines[1:], ["", ""])
            self.assertIn("1.0 s of sound", both.stderr)
            as_json = json.loads(calliope("transcribe", spoken, "--format", "verbose_json").stdout)
            self.assertEqual(" ".join(segment["text"] for segment in as_json["segments"]), as_json["text"])
            broken = calliope("transcribe", __file__, spoken)  # the second is written down all the same
            self.assertEqual(broken.returncode, 1)
            self.assertIn("operate_test.py", broken.stderr)
            self.assertEqual(broken.stdout, lines[0] + "\n")

    def test_hostile_forms_take_no_memory(self):
        """Uploads that are no sounds, no forms, or never come: told so, and forgotten."""
        self.program = Program()
        megabytes = 1 << 20

        def part(name, value, more=b""):
            return b"--b\r\nContent-Disposition: form-data; name=\"" + name + b"\"" + more + b"\r\n\r\n" + value + b"\r\n"

        def post(body):
            connection = self.program.connect()
            connection.request("POST", "/v1/audio/transcriptions", body, {"Content-Type": "multipart/form-data; boundary=b"})
            response = connection.getresponse()
            error = json.loads(response.read())["error"]
            connection.close()
            return response.status, error["message"]

        junk = os.urandom(30 * megabytes)
        hostile = {
            "no sound": (part(b"file", junk, b"; filename=\"a.wav\"") + b"--b--", 400, "'file'"),
            "cut off": (part(b"file", junk, b"; filename=\"a.wav\""), 400, "was it cut off"),
            "a text": (part(b"prompt", b"x" * 30 * megabytes) + b"--b--", 413, "'prompt'"),
            "many parts": (part(b"a", b"") * 500_000 + b"--b--", 413, "parts"),
            "a header": (b"--b\r\nX: " + b"x" * 30 * megabytes, 413, "headers"),
            "nearly boundaries": (b"\r\n--" * 5_000_000, 400, "no part"),
            "another boundary": (junk, 400, "no part"),
        }
        memory = lambda: self.metrics()[("process_resident_memory_bytes", ())]
        for body, status, says in hostile.values():  # what is allocated once
            self.assertEqual(post(body)[0], status)
        before = memory()
        for _ in range(4):
            for what, (body, status, says) in hostile.items():
                with self.subTest(what):
                    got, message = post(body)
                    self.assertEqual(got, status)
                    self.assertIn(says, message)
        waiting = []
        for _ in range(30):  # promised, but not sent
            connection = self.program.connect()
            connection.connect()
            connection.sock.sendall(b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
                                    b"Content-Length: 16000000\r\n\r\n--b\r\n")
            waiting.append(connection)
        self.assertLess(memory() - before, 100 * megabytes)
        for connection in waiting:
            connection.close()
        self.assertEqual(self.program.ask("POST", "/v1/chat/completions", SHORT).status, 200)
        self.assertEqual(self.program.end(), 0)

    def test_metrics_follow_what_happens(self):
        self.program = Program()
        before = self.metrics()
        self.assertEqual(self.program.ask("POST", "/v1/chat/completions", SHORT).status, 200)
        spoken = self.program.ask("POST", "/v1/chat/completions", LONG)
        self.assertIn("[DONE]", spoken.read().decode())
        after = self.metrics()
        for _ in range(100):  # the engine tells of a round when it is over, a moment after its last word was sent
            if after[("calliope_finished_total", ())] == 2:
                break
            time.sleep(0.05)
            after = self.metrics()

        def rose(name, **labels):
            key = (name, tuple(sorted(labels.items())))
            return after[key] - before.get(key, 0)

        self.assertEqual(rose("calliope_http_requests_total", route="/v1/chat/completions", method="POST", status="200"), 2)
        self.assertEqual(rose("calliope_answers_total", api="chat", outcome="ok"), 2)
        self.assertEqual(rose("calliope_finished_total"), 2)
        self.assertEqual(rose("calliope_first_text_seconds_count"), 2)
        self.assertEqual(rose("calliope_first_audio_seconds_count"), 1)
        self.assertGreater(rose("calliope_completion_tokens_total"), 4)
        self.assertGreater(rose("calliope_audio_seconds_total"), 0.2)
        self.assertGreater(rose("calliope_prompt_tokens_total", **{"from": "run"}), 4)
        self.assertGreater(rose("calliope_batch_size_count", stage="decode"), 4)
        self.assertGreater(rose("calliope_batch_size_count", stage="speech"), 4)
        self.assertEqual(after[("calliope_sessions", ())], 0)
        self.assertGreater(after[("process_resident_memory_bytes", ())], 1e7)
        self.assertGreater(after[("process_cpu_seconds_total", ())], 0)
        self.assertGreater(after[("process_open_fds", ())], 3)
        self.assertEqual(self.program.end(), 0)

    def test_a_client_that_goes_is_counted_and_leaves_nothing_behind(self):
        self.program = Program()
        connection = self.program.connect()
        connection.request("POST", "/v1/chat/completions", json.dumps(LONG), {"Content-Type": "application/json"})
        response = connection.getresponse()
        response.read(100)
        response.close()
        connection.close()
        for _ in range(100):
            values = self.metrics()
            if values[("calliope_cancelled_total", ())] == 1 and values[("calliope_sessions", ())] == 0:
                break
            time.sleep(0.05)
        self.assertEqual(values[("calliope_cancelled_total", ())], 1)
        self.assertEqual(values[("calliope_sessions", ())], 0)
        self.assertEqual(self.program.end(), 0)

    def test_sigterm_cuts_no_answer_and_refuses_new_ones(self):
        self.program = Program()
        connection = self.program.connect()
        connection.request("POST", "/v1/chat/completions", json.dumps(LONG), {"Content-Type": "application/json"})
        response = connection.getresponse()
        first = response.read(100)
        self.program.process.send_signal(signal.SIGTERM)
        refused = None
        while refused is None or refused.status == 200:  # until the signal has arrived
            refused = self.program.ask("GET", "/readyz")
        self.assertEqual(refused.status, 503)
        self.assertEqual(self.program.ask("GET", "/healthz").status, 200)
        late = self.program.ask("POST", "/v1/chat/completions", SHORT)
        self.assertEqual(late.status, 503)
        self.assertGreater(int(late.getheader("Retry-After")), 0)
        self.assertEqual(json.load(late)["error"]["type"], "server_error")
        whole = (first + response.read()).decode()
        self.assertIn('"finish_reason":"', whole)
        self.assertTrue(whole.endswith("data: [DONE]\n\n"), whole[-300:])
        self.assertEqual(self.program.process.wait(10), 0)

    def test_a_second_signal_ends_at_once(self):
        self.program = Program()
        connection = self.program.connect()
        connection.request("POST", "/v1/chat/completions", json.dumps(LONG | {"max_tokens": 4000}), {"Content-Type": "application/json"})
        connection.getresponse().read(100)
        self.program.process.send_signal(signal.SIGTERM)
        while self.program.ask("GET", "/readyz").status == 200:
            pass
        self.program.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.program.process.wait(10), 0)

    def test_json_logs_carry_the_request_id(self):
        self.program = Program("--log-format", "json", "--metrics-key", "watching")
        response = self.program.ask("POST", "/v1/chat/completions", SHORT, {"X-Request-Id": "order-66"})
        self.assertEqual(response.getheader("X-Request-Id"), "order-66")
        response.read()
        self.assertEqual(self.program.ask("GET", "/metrics").status, 401)
        self.metrics({"Authorization": "Bearer watching"})
        generated = self.program.ask("GET", "/healthz", headers={"X-Request-Id": "two words"}).getheader("X-Request-Id")
        self.assertRegex(generated, "^req_[a-z2-7]{24}$")
        self.assertEqual(self.program.end(), 0)
        lines = [json.loads(line) for line in self.program.log]
        asked = next(line for line in lines if line.get("id") == "order-66")
        self.assertEqual((asked["event"], asked["status"], asked["outcome"]), ("request", 200, "ok"))
        self.assertGreater(asked["completion_tokens"], 1)
        self.assertGreaterEqual(asked["ms"], asked["first_ms"])
        self.assertTrue(any(line.get("id") == generated for line in lines))
        self.assertTrue(any("draining" in line.get("message", "") for line in lines))


if __name__ == "__main__":
    unittest.main()
