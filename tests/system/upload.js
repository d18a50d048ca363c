// Uploads one file with tus-js-client, and says what happens, a JSON object a line. Told what to do by one JSON argument:
// {module, endpoint, token, file, metadata, protocol?, chunkSize?, retryDelays?, uploadUrl?, deferLength?, withCreation?,
//  override?, terminate?}. Ends with 0 after "success", with 1 after "error".
'use strict';

const fs = require('fs');
const stream = require('stream');

const task = JSON.parse(process.argv[2]);
const tus = require(task.module);
const say = (event, more) => process.stdout.write(`${JSON.stringify({event, ...more})}\n`);

const size = fs.statSync(task.file).size;
const options = {
  endpoint: task.endpoint,
  headers: {Authorization: `Bearer ${task.token}`},
  metadata: task.metadata,
  retryDelays: task.retryDelays || null,
  // A whole file is one request, as by default.
  chunkSize: task.chunkSize || Infinity,
  uploadSize: task.deferLength ? null : size,
  uploadLengthDeferred: Boolean(task.deferLength),
  uploadDataDuringCreation: Boolean(task.withCreation),
  overridePatchMethod: Boolean(task.override),
  onUploadUrlAvailable: () => say('url', {url: upload.url}),
  onChunkComplete: (_bytes, accepted) => say('chunk', {accepted}),
  onAfterResponse: (request, response) => say('answer', {
    method: request.getMethod(),
    status: response.getStatus(),
    offset: response.getHeader('Upload-Offset') || null,
    digest: response.getHeader('Repr-Digest') || null,
  }),
  onError: (error) => {
    say('error', {message: String(error)});
    process.exit(1);
  },
  onSuccess: () => {
    say('success', {url: upload.url});
    process.exit(0);
  },
};
if (task.protocol) options.protocol = task.protocol;
if (task.uploadUrl) options.uploadUrl = task.uploadUrl;

// Of a file the client knows the length; what comes through a pipe has none. By the draft's words it says of no piece of a
// file that it is the last one, but of a buffer's.
function source() {
  if (task.protocol) return fs.readFileSync(task.file);
  const file = fs.createReadStream(task.file);
  return task.deferLength ? file.pipe(new stream.PassThrough()) : file;
}
const upload = new tus.Upload(source(), options);
if (task.terminate) {
  tus.Upload.terminate(task.uploadUrl, options).then(() => process.exit(0), options.onError);
} else {
  upload.start();
}
