"""Serves moto's S3 on loopback with one bucket; prints the port, and ends with its standard input. One request at a time: it has no lock around its conditions."""

import os
import sys
import threading

import boto3
from moto import mock_aws
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server



def end_with_input():
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=end_with_input, daemon=True).start()
server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=False)
with mock_aws():
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket=sys.argv[1])
    print(server.port, flush=True)
    server.serve_forever()
