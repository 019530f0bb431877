import { Button } from '@mantine/core';
import { Link, useRouteError } from 'react-router';
import { Empty, PageTitle } from '../parts/States';
import { text } from '../text';

export function Crashed() {
  const error = useRouteError();
  return (
    <div role="alert">
      <Empty title={text.shell.crashed} action={<Button onClick={() => location.reload()}>{text.shell.reload}</Button>}>
        {text.shell.crashedHint} {error instanceof Error ? error.message : ''}
      </Empty>
    </div>
  );
}

export function Unknown() {
  return (
    <>
      <PageTitle title={text.shell.unknown} />
      <Button component={Link} to="/" variant="light">
        {text.shell.goHome}
      </Button>
    </>
  );
}
