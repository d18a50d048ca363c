// A page of another origin that uploads from a headless Chromium with tus-js-client, stops in the middle, goes on, and says
// what it could read of the answers. Arguments: the page's URL, the endpoint, a token, bytes. Used by uploads_test.py.
'use strict';

const {chromium} = require('playwright-core');

/** Runs in the page. */
async function uploadInPage({endpoint, token, size}) {
  const content = new Uint8Array(size);
  for (let i = 0; i < size; i += 1) content[i] = (i * 7 + (i >> 10)) & 0xff;
  const readable = {};
  const run = (uploadUrl, stopAt) => new Promise((resolve, reject) => {
    const upload = new tus.Upload(new Blob([content]), {
      endpoint,
      uploadUrl,
      headers: {Authorization: `Bearer ${token}`},
      metadata: {path: 'page/file.bin', filetype: 'application/octet-stream'},
      chunkSize: 1 << 20,
      retryDelays: null,
      onAfterResponse: (request, response) => {
        for (const name of ['Location', 'Upload-Offset', 'Upload-Expires', 'ETag', 'Repr-Digest']) {
          if (response.getHeader(name)) readable[name] = response.getHeader(name);
        }
      },
      onChunkComplete: (_bytes, accepted) => {
        if (stopAt && accepted >= stopAt) upload.abort().then(() => resolve(upload.url));
      },
      onError: reject,
      onSuccess: () => resolve(upload.url),
    });
    upload.start();
  });
  const url = await run(null, 1 << 20);
  await run(url, 0);
  const digest = await crypto.subtle.digest('SHA-256', content);
  const sha256 = [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return {url, sha256, readable};
}

async function main() {
  const [page_url, endpoint, token, size] = process.argv.slice(2);
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'],
  });
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(60000);
    await page.goto(page_url);
    const report = await page.evaluate(uploadInPage, {endpoint, token, size: Number(size)});
    process.stdout.write(JSON.stringify(report));
  } finally {
    await browser.close();
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
